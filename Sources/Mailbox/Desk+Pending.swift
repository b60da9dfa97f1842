import Bundles
import Files
import SystemPackage
import Wire

/// One thing that waits for a person.
package struct PendingItem: Sendable {
    /// A way to decide: what it means, and where the file goes.
    package struct Move: Sendable {
        package let say: String
        package let state: DeskState
        /// The folder in `approved/`.
        package let group: String?

        package init(_ say: String, to state: DeskState, group: String? = nil) {
            self.say = say
            self.state = state
            self.group = group
        }
    }

    package let item: DeskItem
    /// What is asked, a line each.
    package let lines: [String]
    package let moves: [Move]

    package init(_ item: DeskItem, lines: [String], moves: [Move]) {
        self.item = item
        self.lines = lines
        self.moves = moves
    }
}

extension Desk {
    /// How many things are written out at most: nobody reads further, and the next come when these are decided.
    private static let pendingLimit = 500

    private var pendingPath: FilePath { root.appending("PENDING.txt") }

    /// The text for one item: who, which key, what is asked, and the exact lines that decide.
    package func text(for pending: PendingItem) -> String {
        let item = pending.item
        var lines = ["\(item.deskName?.short ?? item.name)  from \(item.sender)  of \(item.manifest.created.rfc3339)"]
        lines.append("  key      \(item.bundle.signer.fingerprint)")
        lines.append("  expires  \(item.manifest.expires.rfc3339)")
        // What others wrote is shown on lines of its own and cannot pass for a line of ours.
        lines += pending.lines.map { "  " + Quarantine.printable($0) }
        for move in pending.moves {
            lines.append("  to \(move.say):")
            let target = folder(move.state, group: move.group)
            let make = move.group == nil ? "" : "mkdir -p \(ShellQuoting.quote(target.string)) && "
            lines.append(
                "    \(make)mv \(ShellQuoting.quote(item.path.string)) \(ShellQuoting.quote(target.string + "/"))")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Brings `PENDING.txt` up to date: written only when it changes, removed when nothing waits.
    package func writePending(_ items: [PendingItem]) throws(MailboxError) {
        try onDisk { () throws(FileError) in
            let present = try home.files.exists(pendingPath)
            guard !items.isEmpty else {
                if present { try home.files.remove(pendingPath) }
                return
            }
            var texts = items.prefix(Self.pendingLimit).map { text(for: $0) }
            if items.count > texts.count {
                texts.append("... and \(items.count - texts.count) more, which come here when these are decided\n")
            }
            let bytes = Array(texts.joined(separator: "\n").utf8)
            let isSameSize = try home.files.status(pendingPath)?.size == Int64(bytes.count)
            // Whatever lies there and cannot be read is replaced.
            if isSameSize, (try? home.files.readFile(pendingPath, limit: bytes.count)) == bytes { return }
            try home.files.writeFile(pendingPath, bytes)
        }
    }
}
