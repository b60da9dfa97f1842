package import Bundles
import Files
package import SystemPackage
package import Wire

/// Where a bundle lies on a desk, and with that what a person decided.
package enum DeskState: String, CaseIterable, Sendable { case pending, approved, rejected }

/// A set of folders in which a person decides by moving a file: `requests/pending|approved|rejected/` and its like.
///
/// 1. What lies there is the signed bundle itself. It is verified again at every look: an edited file is refused, and so is one
///    that this home did not accept before. Links and folders are not followed. Of what was decided on, which lies there for
///    years, only the signature and the manifest are looked at: its id is all that a later move needs.
/// 2. The same bundle at two places counts once: rejected before approved before pending.
/// 3. On the requests' desk a folder in `approved/` is a group, and `plan.yaml` in it its plan.
package struct Desk: Sendable {
    /// Beside a rejected file: why, in a person's words.
    package static let reasonSuffix = ".reason.txt"

    package let root: FilePath
    /// The name of the folder for ``DeskState/approved``.
    private let approvedName: String
    private let hasGroups: Bool
    /// Of what a person decides here.
    private let kind: BundleKind
    let home: Home

    /// ENR: who wants to belong to the federation. On a server.
    package static func enrolments(_ home: Home) -> Desk { Desk(home, home.enrolments, of: .enrol) }
    /// REQ: who wants to train. On a server.
    package static func requests(_ home: Home) -> Desk { Desk(home, home.requests, of: .request, hasGroups: true) }
    /// PLAN: plans that differ from this hospital's request. On a client.
    package static func plans(_ home: Home) -> Desk { Desk(home, home.plans, of: .global) }
    /// UPD: finished models, `pending|accepted|rejected`. On a client.
    package static func updates(_ home: Home) -> Desk {
        Desk(home, home.updates, of: .global, approvedName: "accepted")
    }

    private init(
        _ home: Home, _ root: FilePath, of kind: BundleKind, approvedName: String = "approved", hasGroups: Bool = false
    ) {
        self.kind = kind
        self.home = home
        self.root = root
        self.approvedName = approvedName
        self.hasGroups = hasGroups
    }

    package func folder(_ state: DeskState, group: String? = nil) -> FilePath {
        let folder = root.appending(state == .approved ? approvedName : state.rawValue)
        return group.map { folder.appending($0) } ?? folder
    }

    /// What a person may call a session: `[A-Za-z0-9._-]{1,40}`, not hidden and no option.
    package static func isAllowed(group: String) -> Bool {
        let isPlain = group.utf8.allSatisfy { byte in
            (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte) || (0x30...0x39).contains(byte)
                || [0x2d, 0x2e, 0x5f].contains(byte)
        }
        return isPlain && (1...40).contains(group.utf8.count) && !group.hasPrefix(".") && !group.hasPrefix("-")
    }

    /// Of a file that decides nothing where it lies, by a slip of the hand.
    package static let isOfAnotherDesk = "belongs on another desk: move it to the folder of the same name there"

    // MARK: looking

    /// Looks at every file on the desk.
    /// - Parameters:
    ///   - only: the one folder to look into; nil for all.
    ///   - isDecided: whether the payload of a bundle with this id matters no more.
    ///   - isAccepted: whether the home took in a bundle with this id; see ``Mailbox/isAccepted(_:)``.
    package func scan(
        only: DeskState? = nil, isDecided: (Digest) -> Bool = { _ in false }, isAccepted: (Digest) -> Bool
    ) throws(MailboxError) -> DeskScan {
        var scan = DeskScan()
        // Rejected first, so that it is what the other places are compared with.
        for state in [DeskState.rejected, .approved, .pending] where only == nil || only == state {
            try look(into: state, group: nil, &scan, isDecided, isAccepted)
        }
        scan.items.sort {
            ($0.deskName?.number ?? .max, $0.name, $0.path.string)
                < ($1.deskName?.number ?? .max, $1.name, $1.path.string)
        }
        return scan
    }

    private func look(
        into state: DeskState, group: String?, _ scan: inout DeskScan, _ isDecided: (Digest) -> Bool,
        _ isAccepted: (Digest) -> Bool
    ) throws(MailboxError) {
        let folder = folder(state, group: group)
        let entries = try onDisk { () throws(FileError) in
            try home.files.exists(folder) ? try home.files.list(folder) : []
        }
        for entry in entries where !entry.name.hasPrefix(".") {
            let path = folder.appending(entry.component)
            switch entry.kind {
            case .directory where hasGroups && state == .approved && group == nil:
                guard Desk.isAllowed(group: entry.name) else {
                    scan.refuse(path, "is no name for a session: letters, digits, . _ - and at most 40 of them")
                    continue
                }
                scan.groups.append(entry.name)
                try look(into: state, group: entry.name, &scan, isDecided, isAccepted)
            case .regular where entry.name == "plan.yaml" && group != nil:
                if let group { scan.planFiles[group] = path }
            case .regular where TemporaryName.isUnfinished(entry.name) || entry.name.hasSuffix(Desk.reasonSuffix):
                continue
            case .regular where hasGroups && state == .approved && isLikePlan(entry.name):
                scan.refuse(
                    path,
                    group == nil
                        ? "is no session's plan here: one belongs beside its requests, as approved/NAME/plan.yaml"
                        : "is not read: did you mean plan.yaml?")
            case .regular:
                try look(at: path, entry.name, state, group, &scan, isDecided, isAccepted)
            default:
                scan.refuse(path, "is not a plain file and was not opened")
            }
        }
    }

    /// What an editor or another habit makes of `plan.yaml`; a bundle may be called what it likes.
    private func isLikePlan(_ name: String) -> Bool {
        let name = name.lowercased()
        return name == "plan"
            || name.hasPrefix("plan.") && !name.hasSuffix(".tar") && !name.hasSuffix(Desk.reasonSuffix)
    }

    private func look(
        at path: FilePath, _ name: String, _ state: DeskState, _ group: String?, _ scan: inout DeskScan,
        _ isDecided: (Digest) -> Bool, _ isAccepted: (Digest) -> Bool
    ) throws(MailboxError) {
        let bundle: VerifiedBundle
        do {
            let found = try BundleReader.open(path, files: home.files)
            bundle = try isDecided(found.id) ? found.recognised() : found.verified()
        } catch {
            if let cause = error.cause {
                // Nothing is decided by half a desk: what the disk withholds just now may be the rejection.
                guard !cause.isTransient else { throw MailboxError(cause) }
                return scan.withhold(path, cause)
            }
            return scan.refuse(
                path,
                "does not verify (\(error)); it was edited or is no bundle: remove it; what still waits is laid there again"
            )
        }
        guard isAccepted(bundle.id) else {
            return scan.refuse(path, "was never received here; move files only from pending/")
        }
        guard bundle.manifest.kind == kind else {
            return scan.refuse(path, Self.isOfAnotherDesk)
        }
        let item = DeskItem(
            path: path, name: name, deskName: DeskName(name), state: state, group: group, bundle: bundle)
        if let first = scan.item(id: bundle.id) {
            scan.superseded.append(item)
            if first.state == .rejected, state == .approved {
                scan.refuse(path, "lies in rejected/ too; rejected wins")
            } else if first.state == .approved, state == .approved {
                scan.refuse(path, "lies at \(first.path) too, which counts")
            }
            return
        }
        scan.items.append(item)
    }

    // MARK: moving

    /// Takes a file off the desk of which nothing is to be decided any more; the bundle itself stays in the archive.
    package func clear(_ item: DeskItem) throws(MailboxError) {
        try onDisk { () throws(FileError) in try home.files.remove(item.path) }
    }

    /// Lays a copy of an archived bundle into `pending/`. Does nothing if that name is on the desk already.
    package func place(_ bundle: FilePath, as name: DeskName) throws(MailboxError) {
        try onDisk { () throws(FileError) in
            let target = folder(.pending).appending(name.text)
            if try !home.files.exists(target) { try home.files.copyFile(from: bundle, to: target) }
        }
    }

    /// Lays a copy of an archived bundle, which is not among `others`, under a name that no other file has: the `mv` that a
    /// person is shown overwrites a signed file of the same name without a word.
    /// - Parameter others: what lies in all of the desk's folders.
    package func place(
        _ bundle: FilePath, as name: DeskName, in state: DeskState = .pending, beside others: DeskScan
    ) throws(MailboxError) {
        let name = try freeName(name, beside: others)
        try onDisk { () throws(FileError) in
            let target = folder(state).appending(name)
            guard try !home.files.exists(target) else { return }
            try home.files.makeDirectories(folder(state))
            try home.files.copyFile(from: bundle, to: target)
        }
    }

    /// What does not verify holds a name in the decided folders, where a move would overwrite it; in `pending/` a person is
    /// told to remove it.
    private func freeName(_ name: DeskName, beside others: DeskScan) throws(MailboxError) -> String {
        let known = Set((others.items + others.superseded).map(\.name))
        return try onDisk { () throws(FileError) in
            for text in name.variants where !known.contains(text) {
                let isApproved = try home.files.exists(folder(.approved).appending(text))
                let isRejected = try home.files.exists(folder(.rejected).appending(text))
                if !isApproved, !isRejected { return text }
            }
            return name.text
        }
    }

    /// Out of `approved/`, though a file of its name lies in `rejected/`.
    /// - Parameter others: what lies in all of the desk's folders.
    package func setAside(_ item: DeskItem, as name: DeskName, beside others: DeskScan) throws(MailboxError) {
        let plain = folder(.rejected).appending(item.name)
        let isFree = try onDisk { () throws(FileError) in try !home.files.exists(plain) }
        let target = try isFree ? plain : folder(.rejected).appending(freeName(name, beside: others))
        try onDisk { () throws(FileError) in
            try home.files.makeDirectories(folder(.rejected))
            try home.files.move(from: item.path, to: target)
        }
    }

    /// The command line's twin of `mv`.
    /// - Parameter group: for an approval: the folder, which is made if it is missing.
    /// - Returns: the file's new path.
    @discardableResult
    package func move(
        _ item: DeskItem, to state: DeskState, group: String? = nil
    ) throws(MailboxError) -> FilePath {
        let target = try target(of: item, state, group: group)
        guard target != item.path else { return target }
        try onDisk { () throws(FileError) in
            try home.files.makeDirectories(folder(state, group: group))
            try home.files.move(from: item.path, to: target)
        }
        return target
    }

    /// Where ``move(_:to:group:)`` would move a file to.
    /// - Throws: ``MailboxError`` where it would not.
    @discardableResult
    package func target(of item: DeskItem, _ state: DeskState, group: String? = nil) throws(MailboxError) -> FilePath {
        if let group, !hasGroups || state != .approved || !Desk.isAllowed(group: group) {
            throw MailboxError(
                .desk, "'\(group)' is no name for a session", hint: "use letters, digits, . _ - and at most 40 of them")
        }
        let folder = folder(state, group: group)
        let target = folder.appending(item.name)
        let isFile = try onDisk { () throws(FileError) in try home.files.status(folder)?.kind == .regular }
        guard !isFile else {
            throw MailboxError(.desk, "\(folder) is a file, no folder", hint: "move it away, or choose another name")
        }
        try onDisk { () throws(FileError) in
            if target != item.path, try home.files.exists(target) {
                throw FileError("move", target, .fileExists, hint: "a file of this name is there already")
            }
        }
        return target
    }
}

/// A verified bundle on a desk.
package struct DeskItem: Sendable {
    package let path: FilePath
    /// The file's name as found.
    package let name: String
    /// The name's parts, if nobody renamed the file.
    package let deskName: DeskName?
    package let state: DeskState
    /// The folder in `approved/`, if it lies in one.
    package let group: String?
    package let bundle: VerifiedBundle

    package var manifest: Manifest { bundle.manifest }
    package var id: Digest { bundle.id }
    package var sender: PartyName { bundle.manifest.sender }
}

/// What lies on a desk.
package struct DeskScan: Sendable {
    /// Sorted by number; each bundle once, where it counts.
    package fileprivate(set) var items: [DeskItem] = []
    /// Further copies, which do not count.
    package fileprivate(set) var superseded: [DeskItem] = []
    /// One line each: files that were not taken, and why.
    package fileprivate(set) var refusals: [String] = []
    /// Folders in `approved/`, the empty ones too.
    package fileprivate(set) var groups: [String] = []
    /// Their plans, by group.
    package fileprivate(set) var planFiles: [String: FilePath] = [:]

    /// The first file that the disk would not open, and why.
    private var withheld: FileError?

    package var isWhole: Bool { withheld == nil }

    package func items(_ state: DeskState) -> [DeskItem] { items.filter { $0.state == state } }
    package func item(id: Digest) -> DeskItem? { items.first { $0.id == id } }

    /// Nothing is taken to be gone from a desk of which the disk withholds a file: that may be the one.
    package func requireWhole() throws(MailboxError) {
        if let withheld { throw MailboxError(withheld) }
    }

    /// Finds what a person typed: `REQ-1`, `REQ-1-hospital-a` or the file's name.
    package func item(named text: String) -> DeskItem? {
        items.first { $0.name == text || $0.deskName?.text == text + ".tar" || $0.deskName?.short == text }
    }

    /// The number after the highest on the desk and `used`.
    package func nextNumber(prefix: String, after used: Int = 0) -> Int {
        let numbers = (items + superseded).compactMap { $0.deskName?.prefix == prefix ? $0.deskName?.number : nil }
        return max(used, numbers.max() ?? 0) + 1
    }

    fileprivate mutating func withhold(_ path: FilePath, _ cause: FileError) {
        withheld = withheld ?? cause
        refuse(path, "cannot be looked at (\(cause))")
    }

    fileprivate mutating func refuse(_ path: FilePath, _ what: String) {
        refusals.append("\(Quarantine.printable(path.string)) \(what)")
    }
}
