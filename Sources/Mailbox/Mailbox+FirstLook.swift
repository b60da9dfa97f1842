import Bundles
import Files
import SystemPackage
import Wire

/// What is found out about a large file where it lies, before it is copied.
///
/// Holes in a file cost its maker nothing, and our disk all that they say. So a file above ``smallBytes`` is copied without
/// further question only where it begins with a manifest that somebody signed whom this home believes, and has the size that
/// this manifest says; all others share a budget.
extension Mailbox {
    /// What is always tried: a message has less.
    static let smallBytes: Int64 = 1 << 20
    /// Room on our own disk that no larger file is given.
    private static let reservedBytes: Int64 = 32 << 20
    /// How much of large files one run copies that nobody known has signed, before it leaves the others for the next one.
    static let unverifiedBytesPerRun: Int64 = 4 << 30
    /// How much of small files one run reads to look at them, in bytes.
    static let smallBytesPerRun: Int64 = 1 << 30
    /// How long one run goes on looking at files where they lie, in seconds: a share may be slow, and headers dear to open.
    static let lookSecondsPerRun: Double = 60
    /// So much each folder of an exchange may bring in a run, while no more waits in the inbox than a run takes.
    static let leastFilesPerFolder = 20
    /// As how many looks a stranger's folder counts, whatever is in it.
    static let looksPerFolder = 10

    /// Whether a file can be copied here, and decrypted into a second copy, so that others still find room after it. What one
    /// sender lays down must not end the run before it comes to the others.
    func hasRoom(for size: Int64) -> Bool {
        guard size > Self.smallBytes, let volume = try? files.volume(of: home.root) else { return true }
        return size <= (volume.available - Self.reservedBytes) / 2
    }

    /// Whether a file can be laid into the inbox, so that it and all that is there can be copied from there to be looked at.
    /// - Parameter largest: of what lies in the inbox, in bytes.
    func hasInboxRoom(for size: Int64, beside largest: Int64) -> Bool {
        guard size > Self.smallBytes, let volume = try? files.volume(of: home.root) else { return true }
        return max(size, largest) <= (volume.available - Self.reservedBytes - size) / 2
    }

    /// Copies a file to the spool, and no more of it than there was to be room for.
    /// - Returns: false where it has grown since it was looked at.
    func copy(_ path: FilePath, to spooled: FilePath, size: Int64) throws(FileError) -> Bool {
        do {
            try files.copyFile(from: path, to: spooled, permissions: 0o600, limit: size)
            return true
        } catch {
            guard error.code == .fileTooLarge, error.path == path else { throw error }
            return false
        }
    }

    static func noRoom(for size: Int64) -> String {
        "has \(size) bytes, for which this disk has no room; it is left where it is"
    }

    static func noInboxRoom(for size: Int64, beside largest: Int64) -> String {
        noRoom(for: size)
            + (largest > size ? "; a file of \(largest) bytes in inbox/ is to be copied first" : "")
    }

    static func waited(_ runs: Int64) -> String {
        "has waited in \(runs) runs: large files that nobody known has signed come before it; remove those that nobody needs"
    }

    enum FirstLook {
        case part(PartHeader)
        /// No bundle, and the same in two runs a minute apart.
        case junk
        /// Zeros, of which there is nothing to see: a hole, or a file that is filled in no order.
        case blank(hasSettled: Bool)
        case growing
        /// Encrypted, and not to this home.
        case forOthers
        case bundle(BundlePreview)
    }

    private enum Beginning {
        case part(PartHeader)
        case bundle(BundlePreview)
        /// Encrypted, and not to this home.
        case forOthers
        /// The first block of what begins with no bundle.
        case other([UInt8])
    }

    private func beginning(of path: FilePath) throws(FileError) -> Beginning {
        let first = try FirstBlock.read(path, files: files)
        if let part = PartHeader(first) { return .part(part) }
        guard FirstBlock.mayBegin(bundle: first) else { return .other(first) }
        do throws(BundleError) {
            return .bundle(try BundlePreview(of: path, with: identity.ageIdentities, files: files))
        } catch {
            if let cause = error.cause { throw cause }
            return error.reason == .notForThisIdentity ? .forOthers : .other(first)
        }
    }

    /// - Parameter name: under which the file is known to `settling`.
    func firstLook(
        at path: FilePath, size: Int64, modified: Int64, as name: String, _ settling: inout Settling
    ) throws(FileError) -> FirstLook {
        let first: [UInt8]
        switch try beginning(of: path) {
        case .part(let part): return .part(part)
        case .bundle(let preview): return .bundle(preview)
        case .forOthers: return .forOthers
        case .other(let block): first = block
        }
        let look = FirstBlock.digest(of: first, modified: modified)
        let hasSettled = settling.observe(name, size: size, digest: look, now: now)
        if FirstBlock.isBlank(first) { return .blank(hasSettled: hasSettled) }
        return hasSettled ? .junk : .growing
    }

    enum SmallLook {
        case part(PartHeader)
        /// Perhaps a bundle, or one that was damaged on its way: the copy shows.
        case candidate
        /// Not now; it may be growing.
        case noBundle(digest: Digest, size: Int64)
        /// Encrypted, and not to this home.
        case forOthers
    }

    /// What need not be copied to be seen through: a flood of small files costs a short look at each.
    func smallLook(at path: FilePath) throws(FileError) -> SmallLook {
        switch try beginning(of: path) {
        case .part(let part): return .part(part)
        case .bundle: return .candidate
        case .forOthers: return .forOthers
        case .other: break
        }
        let file = try files.openForReading(path)
        let size = try file.status().size
        guard size <= Self.smallBytes else { return .candidate }
        return .noBundle(digest: try SHA256Hash.digest(of: file, from: 0, size: size), size: size)
    }

    /// Whether somebody signed it whom this home believes, for here and as news. The payload may be holes all the same: of one
    /// manifest, one file in a run is believed.
    func believes(_ preview: BundlePreview, _ believed: inout Set<Digest>) -> Bool {
        switch rules.judge(preview.manifest, id: preview.id, signer: preview.signer) {
        case .deliver(isSelfSigned: false), .equivocation: believed.insert(preview.id).inserted
        case .deliver, .duplicate, .discard, .hold, .refuse: false
        }
    }
}

/// What is left of a run's copies of large files that nobody known has signed.
struct CopyBudget {
    private var spent: Int64 = 0

    /// One always may, whatever its size, and a small one too.
    func allows(_ size: Int64) -> Bool {
        size <= Mailbox.smallBytes || spent == 0 || spent + size <= Mailbox.unverifiedBytesPerRun
    }

    mutating func spend(_ size: Int64) {
        if size > Mailbox.smallBytes { spent += size }
    }
}

/// Those of whom a large file that began well turned out to be no bundle in this run: holes cost their maker nothing, so that
/// whatever else begins so has its turn with what nobody known has signed.
struct Disappointing {
    private var signers: Set<PublicKey> = []

    mutating func insert(_ signer: PublicKey) { signers.insert(signer) }

    /// - Parameter signer: nil where nobody is believed.
    func believes(_ signer: PublicKey?) -> Bool { signer.map { !signers.contains($0) } ?? false }
}

/// What is left of a run's looks into one folder.
struct LookBudget {
    /// How many files had their turn, and how much of the small ones was read.
    private var looks = 0
    private var bytes: Int64 = 0
    /// How many of them are to be copied, or to be told of.
    private var files = 0

    /// When the first look was, and how long after it others may follow, in seconds.
    private var begin: Double?
    /// When a folder that anybody can make was first looked into.
    private var firstFolder: Double?
    private let seconds: Double

    init(seconds: Double) { self.seconds = seconds }

    var isOpen: Bool {
        looks < Mailbox.looksPerRun && files < Mailbox.filesPerRun && bytes < Mailbox.smallBytesPerRun
            && (begin.map { MonotonicClock.seconds() - $0 < seconds } ?? true)
    }

    mutating func look() {
        looks += 1
        begin = begin ?? MonotonicClock.seconds()
    }

    /// Whether half of the time is over: from then on nobody has a turn before the others.
    var isLate: Bool { begin.map { MonotonicClock.seconds() - $0 >= seconds / 2 } ?? false }

    /// Of a folder that anybody can make, or many. Its own files have their time all the same, which begins with the first one.
    mutating func lookIntoFolder() {
        looks += Mailbox.looksPerFolder
        firstFolder = firstFolder ?? MonotonicClock.seconds()
    }

    /// Whether one more such folder may be looked into: to list those that hold nothing takes time too. One always may, so that
    /// the next run goes on behind it.
    var isOpenForFolders: Bool {
        guard let firstFolder else { return true }
        return isOpen && MonotonicClock.seconds() - firstFolder < seconds
    }

    mutating func read(_ size: Int64) { bytes += size }

    mutating func take() { files += 1 }
}
