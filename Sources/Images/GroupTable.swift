package import Files
package import SystemPackage

/// `--groups FILE`: which pictures belong together, decided by a person beside the near-duplicate finder.
///
/// Text in CSV (RFC 4180) with a heading line that names at least the columns `path` and `group`, in any order. Paths are
/// from the data folder, with `/`. Groups are any text.
package struct GroupTable: Equatable, Sendable {
    private let groups: [String: Int]

    package static let maximumBytes = 256 << 20

    /// - Throws: `invalidGroups` with the line number.
    package init(reading path: FilePath, files: any FileSystem = LocalFileSystem()) throws(ImageError) {
        let bytes: [UInt8]
        do { bytes = try files.readFile(path, limit: Self.maximumBytes) } catch {
            throw ImageError(.invalidGroups, "groups: \(error)")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ImageError(.invalidGroups, "groups: \(path) is not UTF-8 text")
        }
        try self.init(csv: text)
    }

    package init(csv text: String) throws(ImageError) {
        let records = Self.records(text)
        guard let heading = records.first, let pathColumn = heading.fields.firstIndex(of: "path"),
            let groupColumn = heading.fields.firstIndex(of: "group")
        else { throw ImageError(.invalidGroups, "groups: the first line must name the columns path and group") }
        var numbers: [String: Int] = [:]
        var groups: [String: Int] = [:]
        for record in records.dropFirst() {
            guard record.fields.count == heading.fields.count else {
                throw ImageError(
                    .invalidGroups,
                    "groups: line \(record.line) has \(record.fields.count) fields, the heading \(heading.fields.count)"
                )
            }
            let number = numbers[record.fields[groupColumn]] ?? numbers.count
            numbers[record.fields[groupColumn]] = number
            guard groups.updateValue(number, forKey: record.fields[pathColumn]) == nil else {
                throw ImageError(.invalidGroups, "groups: line \(record.line) names \(record.fields[pathColumn]) again")
            }
        }
        self.groups = groups
    }

    package subscript(path: FilePath) -> Int? { groups[path.string] }

    private static func records(_ text: String) -> [(line: Int, fields: [String])] {
        var records: [(line: Int, fields: [String])] = []
        var fields: [String] = []
        var field: [UInt8] = []
        var (line, start, quoted, wasQuoted) = (1, 1, false, false)
        func closeField() {
            fields.append(String(decoding: field, as: UTF8.self))
            field = []
        }
        func closeRecord() {
            // An empty line is no record.
            if !(fields.isEmpty && field.isEmpty && !wasQuoted) {
                closeField()
                records.append((start, fields))
            }
            (fields, field, wasQuoted, start) = ([], [], false, line)
        }
        let bytes = Array(text.utf8)
        // Spreadsheets put a byte order mark first.
        var position = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? 3 : 0
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\n") { line += 1 }
            if quoted {
                if byte != UInt8(ascii: "\"") {
                    field.append(byte)
                } else if position + 1 < bytes.count, bytes[position + 1] == byte {
                    field.append(byte)
                    position += 1
                } else {
                    quoted = false
                }
            } else {
                switch byte {
                case UInt8(ascii: "\"") where field.isEmpty: (quoted, wasQuoted) = (true, true)
                case UInt8(ascii: ","): closeField()
                case UInt8(ascii: "\r"): break
                case UInt8(ascii: "\n"): closeRecord()
                default: field.append(byte)
                }
            }
            position += 1
        }
        closeRecord()
        return records
    }
}
