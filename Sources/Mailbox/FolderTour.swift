import Bundles
import Files
import SystemPackage

/// In which order the files of a crowded folder are looked at, run by run: that of a keyed hash of their names, round and
/// round, each run beginning where the last one ended. So every file has its turn after all the others at the latest, and
/// nothing need be remembered of any.
///
/// There are two such rounds, which take turns: of what is named as a bundle, and of all else. Whoever does not imitate those
/// names does not keep a bundle waiting, and whoever does keeps no other file waiting.
struct FolderTour: Equatable {
    /// Secret, so that nobody lays his files just before the next turn.
    private let key: (UInt64, UInt64)
    /// Where the last look of each round was.
    private var named: UInt64 = 0
    private var others: UInt64 = 0

    init() { key = (.random(in: .min ... .max), .random(in: .min ... .max)) }

    static func == (first: FolderTour, second: FolderTour) -> Bool { first.numbers == second.numbers }

    /// As they are written down.
    var numbers: [Int64] { [key.0, key.1, named, others].map(Int64.init(bitPattern:)) }

    init?(_ numbers: [Int64]) {
        guard numbers.count == 4 else { return nil }
        let words = numbers.map(UInt64.init(bitPattern:))
        key = (words[0], words[1])
        (named, others) = (words[2], words[3])
    }

    /// Names in the order in which they have their turn, where all are in one round.
    func order(_ names: [String]) -> [String] {
        names.map { (distance: distance(of: $0, isNamed: false), name: $0) }.sorted { $0.distance < $1.distance }
            .map(\.name)
    }

    /// Goes on behind a name.
    mutating func advance(behind name: String) { others &+= distance(of: name, isNamed: false) &+ 1 }

    /// How far a name lies ahead in its round.
    fileprivate func distance(of name: String, isNamed: Bool) -> UInt64 {
        // What was looked at last comes last.
        SipHash(key: key).hash(name.utf8) &- (isNamed ? named : others) &- 1
    }

    fileprivate mutating func advance(_ turn: FolderSelection.Turn) {
        if turn.isNamed { named &+= turn.distance &+ 1 } else { others &+= turn.distance &+ 1 }
    }

    /// Goes on behind the last turns that were taken.
    fileprivate mutating func advance(behind turns: some BidirectionalCollection<FolderSelection.Turn>) {
        let (lastNamed, lastOther) = (turns.last(where: \.isNamed), turns.last { !$0.isNamed })
        for turn in [lastNamed, lastOther].compactMap(\.self) { advance(turn) }
    }
}

/// What one run takes of the names in a folder.
struct FolderSelection: NameSelection {
    fileprivate struct Turn {
        let entry: DirectoryEntry
        let isNamed: Bool
        let distance: UInt64
    }

    /// How many entries that are no files are kept.
    private static let oddEntries = 1000

    private let tour: FolderTour
    /// Whether the last run did not come to an end here.
    private let goesOn: Bool
    private let limit: Int
    private let noted: Set<String>
    /// Those of the noted names that are there.
    private(set) var met: [String: DirectoryEntry] = [:]
    /// How many files there are.
    private(set) var count = 0
    /// What is no file.
    private(set) var odd: [DirectoryEntry] = []
    /// Whether all names of the folder were met.
    private(set) var isWhole = true
    private var named = Nearest()
    private var others = Nearest()

    /// - Parameters:
    ///   - tour: where the last run ended; nil where all files had their turn.
    ///   - limit: of each round.
    ///   - noted: names of which something is noted.
    init(tour: FolderTour?, limit: Int, noted: Set<String>) {
        self.tour = tour ?? FolderTour()
        goesOn = tour != nil
        self.limit = limit
        self.noted = noted
    }

    mutating func offer(_ entry: DirectoryEntry) {
        if noted.contains(entry.name) { met[entry.name] = entry }
        guard entry.isOurBusiness else { return }
        guard entry.kind == .regular else {
            if odd.count < Self.oddEntries { odd.append(entry) }
            return
        }
        count += 1
        let isNamed = entry.isNamedAsABundle
        let turn = Turn(entry: entry, isNamed: isNamed, distance: tour.distance(of: entry.name, isNamed: isNamed))
        if isNamed { named.offer(turn, limit) } else { others.offer(turn, limit) }
    }

    mutating func breakOff() { isWhole = false }

    /// The visits of this run.
    /// - Parameters:
    ///   - due: names whose turn has come before all others.
    ///   - isMixed: also where all files have their turn, nobody shall choose whose comes first.
    func visits(due: [String], isMixed: Bool) -> FolderVisits {
        let (named, others) = (named.sorted(limit), others.sorted(limit))
        var turns: [Turn] = []
        for index in 0..<max(named.count, others.count) {
            if index < named.count { turns.append(named[index]) }
            if index < others.count { turns.append(others[index]) }
        }
        // A slow share can end a run in any folder.
        let isCrowded = count > Mailbox.filesPerRun || goesOn
        let isInOrder = isCrowded || isMixed
        if !isInOrder { turns.sort { $0.entry.name.utf8.lexicographicallyPrecedes($1.entry.name.utf8) } }
        let first = isCrowded ? due.compactMap { met[$0] }.filter { $0.kind == .regular } : []
        return FolderVisits(due: first, turns: turns, count: count, tour: tour, isInOrder: isInOrder)
    }

    /// The turns that come next.
    private struct Nearest {
        private var turns: [Turn] = []
        private var farthest = UInt64.max

        mutating func offer(_ turn: Turn, _ limit: Int) {
            guard turn.distance <= farthest else { return }
            turns.append(turn)
            // Sorted now and then instead of each time.
            guard turns.count >= 2 * limit else { return }
            turns = sorted(limit)
            farthest = turns.last?.distance ?? .max
        }

        func sorted(_ limit: Int) -> [Turn] { Array(turns.sorted { $0.distance < $1.distance }.prefix(limit)) }
    }
}

/// The files that one run looks at in a folder, in order.
struct FolderVisits {
    /// At once: they were looked at before, and what is to become of them is decided now.
    let due: [DirectoryEntry]
    private let turns: [FolderSelection.Turn]
    /// How many files there are.
    let count: Int
    private let tour: FolderTour
    private let isInOrder: Bool
    /// How many had their turn.
    private(set) var taken = 0
    private var visited: Set<String> = []
    private var visitedDue = 0

    fileprivate init(
        due: [DirectoryEntry], turns: [FolderSelection.Turn], count: Int, tour: FolderTour, isInOrder: Bool
    ) {
        (self.due, self.turns, self.count, self.tour, self.isInOrder) = (due, turns, count, tour, isInOrder)
    }

    /// - Parameter isLate: whether the turns come now, and not what is due before them.
    mutating func next(isLate: Bool) -> DirectoryEntry? {
        if !isLate, visitedDue < due.count {
            defer { visitedDue += 1 }
            visited.insert(due[visitedDue].name)
            return due[visitedDue]
        }
        while taken < turns.count {
            let entry = turns[taken].entry
            taken += 1
            if !visited.contains(entry.name) { return entry }
        }
        return nil
    }

    /// How many files had no turn.
    var left: Int { max(0, count - taken - visited.subtracting(turns[..<taken].map(\.entry.name)).count) }

    /// Where the next run goes on; nil where all had their turn.
    var nextTour: FolderTour? {
        guard left > 0 else { return nil }
        var next = tour
        if isInOrder { next.advance(behind: turns[..<taken]) }
        return next
    }
}

extension DirectoryEntry {
    /// As consilium names bundles itself. Nothing follows from it but whose turn it is.
    fileprivate var isNamedAsABundle: Bool {
        var stem = name[...]
        if stem.hasSuffix(AgeFile.suffix) { stem = stem.dropLast(AgeFile.suffix.count) }
        guard stem.hasSuffix(".tar") else { return false }
        var parts = stem.dropLast(4).split(separator: "-", omittingEmptySubsequences: false)
        // One that was encrypted anew has a number behind it.
        if let turn = parts.last, turn.utf8.count < 8, Int(turn) != nil { parts.removeLast() }
        guard parts.count >= 3, let kind = parts.first, let id = parts.last else { return false }
        return BundleKind(rawValue: String(kind)) != nil && id.utf8.count == 8 && id.utf8.allSatisfy(\.isLowercaseHex)
    }
}

extension UInt8 {
    fileprivate var isLowercaseHex: Bool { (0x30...0x39).contains(self) || (0x61...0x66).contains(self) }
}
