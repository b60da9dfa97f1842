import Images
import Reports
import SystemPackage
import Wire

/// What `data check` and `data stats` say of a data folder.
struct DataReport {
    /// Lines of a list before the rest is only counted.
    private static let shortList = 10
    /// Columns of the longest bar.
    private static let barWidth = 40

    private let check: DataCheck

    init(_ check: DataCheck) { self.check = check }

    /// - Throws: ``CommandFailure`` with ``ExitStatus/badData`` where there is not one picture to use.
    func requirePictures(in folder: String) throws(CommandFailure) {
        guard check.pictures == 0 else { return }
        let files = check.unreadable.count
        let what = files == 0 ? "there are no pictures" : "none of the \(files) files can be used"
        throw CommandFailure(.badData, "\(folder.printable): \(what)")
    }

    // MARK: check

    func checkText(verbose: Bool) -> String {
        let doubled = check.duplicates.reduce(0) { $0 + $1.count }
        var blocks = [countTable]
        if check.duplicates.isEmpty {
            blocks.append("near-duplicates: none")
        } else {
            let title =
                "near-duplicates: \(doubled) pictures in \(counted(check.duplicates.count, "group")), which a split keeps whole"
            blocks.append(verbose ? list(title, check.duplicates.map(Self.names), all: true) : title)
        }
        if !check.contradictions.isEmpty {
            blocks.append(
                list("near-duplicates in different classes", check.contradictions.map(Self.names), all: verbose))
        }
        if !check.unreadable.isEmpty {
            blocks.append(list("not usable", check.unreadable.map(\.description), all: verbose))
        }
        if !check.dark.isEmpty { blocks.append(list("almost black", check.dark.map(\.string), all: verbose)) }
        let warnings = check.warnings.map { "warning: \($0.printable)" }
        blocks.append(warnings.isEmpty ? "nothing to mend" : warnings.joined(separator: "\n"))
        return blocks.joined(separator: "\n\n")
    }

    private var countTable: String {
        var table = TextTable([
            ("class", .left), ("pictures", .right), ("not usable", .right), ("JPEG", .right), ("PNG", .right),
        ])
        func add(_ name: String, _ classes: [DataCheck.ClassSummary]) {
            let columns: [KeyPath<DataCheck.ClassSummary, Int>] = [\.pictures, \.unreadable, \.jpeg, \.png]
            table.add([name] + columns.map { column in "\(classes.reduce(0) { $0 + $1[keyPath: column] })" })
        }
        for summary in check.classes { add(summary.name.printable, [summary]) }
        add("all", check.classes)
        return table.text
    }

    private func list(_ title: String, _ lines: [String], all: Bool) -> String {
        let shown = all ? lines[...] : lines.prefix(Self.shortList)
        let rest = lines.count - shown.count
        let tail = rest > 0 ? ["  and \(rest) more, which --verbose lists"] : []
        return (["\(title):"] + shown.map { "  " + $0.printable } + tail).joined(separator: "\n")
    }

    private static func names(_ paths: [FilePath]) -> String { paths.map(\.string).joined(separator: "  ") }

    // MARK: stats

    func statsText(verbose: Bool) -> String {
        let sizes = check.sizes.map { "\($0.size.width) x \($0.size.height): \($0.count)" }
        let distinct = sizes.count == 1 ? "sizes, in pixels" : "sizes, in pixels (\(sizes.count) different)"
        return [intensityTable, list(distinct, sizes, all: verbose), histogram].joined(separator: "\n\n")
    }

    private var intensityTable: String {
        var table = TextTable([
            ("class", .left), ("pictures", .right), ("share", .right), ("mean gray", .right), ("deviation", .right),
        ])
        func add(_ name: String, _ pictures: Int, _ gray: (mean: Double, std: Double)) {
            let share = check.pictures == 0 ? 0 : Double(pictures) / Double(check.pictures)
            table.add([
                name, "\(pictures)", Numbers.percent(share), Numbers.fixed(gray.mean, digits: 3),
                Numbers.fixed(gray.std, digits: 3),
            ])
        }
        for summary in check.classes { add(summary.name.printable, summary.pictures, summary.intensity) }
        add("all", check.pictures, check.intensity)
        return table.text
    }

    /// Sixteen steps of gray, with a bar for the share of each.
    private var histogram: String {
        let counts = stride(from: 0, to: 256, by: 16).map { check.histogram[$0..<$0 + 16].reduce(0, +) }
        let (sum, most) = (max(1, counts.reduce(0, +)), max(1, counts.max() ?? 0))
        var table = TextTable([("gray values", .right), ("share", .right), ("", .left)])
        for (step, count) in counts.enumerated() {
            table.add([
                "\(step * 16)-\(step * 16 + 15)", Numbers.percent(Double(count) / Double(sum)),
                String(repeating: "#", count: (count * Self.barWidth + most / 2) / most),
            ])
        }
        return table.text
    }

    /// The part of the check's document that is about numbers.
    var statsJSON: JSONValue {
        guard case .object(let fields) = check.json else { return check.json }
        let kept: Set<String> = ["schema_version", "pictures", "classes", "mean", "std", "sizes"]
        return .object(fields.filter { kept.contains($0.key) })
    }
}
