/// Rows as text in aligned columns, for a terminal or a mail: two spaces between columns, no rules.
package struct TextTable {
    package enum Alignment: Sendable { case left, right }

    private let headings: [String]
    private let alignments: [Alignment]
    private var rows: [[String]] = []

    package init(_ columns: [(heading: String, alignment: Alignment)]) {
        headings = columns.map(\.heading)
        alignments = columns.map(\.alignment)
    }

    package var isEmpty: Bool { rows.isEmpty }

    /// A row with fewer cells than there are columns is filled with empty ones.
    package mutating func add(_ cells: [String]) {
        rows.append(Array((cells + Array(repeating: "", count: headings.count)).prefix(headings.count)))
    }

    package var text: String {
        let all = [headings] + rows
        let widths = headings.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        let lines = all.map { row in
            let cells = row.indices.map { column in
                let fill = String(repeating: " ", count: widths[column] - row[column].count)
                return alignments[column] == .right ? fill + row[column] : row[column] + fill
            }
            let line = cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
        return lines.joined(separator: "\n")
    }
}
