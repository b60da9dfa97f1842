import Files
package import SystemPackage
import Wire

/// What this home has seen and laid in exchanges: `mailbox/exchange.json`, so that an idle run reads no payload.
///
/// Only a cache: without it, everything is read once more and recognised by its id.
struct ExchangeCache: Equatable {
    private static let maximumBytes = 64 << 20

    /// A file that needs no second look as long as size and modification time stay.
    struct Seen: Equatable {
        let size: Int64
        let modified: Int64
    }

    /// A bundle of ours at a path there.
    struct Delivered: Equatable {
        let id: Digest
        let at: Timestamp
    }

    /// By absolute path, as for ``delivered``.
    var seen: [String: Seen] = [:]
    var delivered: [String: Delivered] = [:]
    /// Why the exchange could not be used when it was last tried; nil if it could.
    var trouble: String?

    /// Starts anew if the file cannot be read.
    static func load(from home: Home) -> ExchangeCache {
        guard let bytes = try? home.files.readFile(home.exchangePath, limit: maximumBytes),
            let json = try? StrictJSON.parse(bytes, maximumBytes: maximumBytes),
            let cache = try? ExchangeCache(json: json)
        else { return ExchangeCache() }
        return cache
    }

    func save(to home: Home) throws(MailboxError) {
        let bytes = StrictJSON.serialize(json)
        try onDisk { () throws(FileError) in try home.files.writeFile(home.exchangePath, bytes) }
    }

    private init() {}

    private var json: JSONValue {
        [
            "trouble": trouble.map { .string($0) } ?? .null,
            "seen": .array(
                seen.sorted { $0.key < $1.key }.map {
                    ["path": .string($0.key), "size": .integer($0.value.size), "modified": .integer($0.value.modified)]
                }),
            "delivered": .array(
                delivered.sorted { $0.key < $1.key }.map {
                    ["path": .string($0.key), "id": .string($0.value.id.hex), "at": .integer($0.value.at.seconds)]
                }),
        ]
    }

    private init(json: JSONValue) throws(JSONError) {
        var fields = try ObjectReader(json, context: "exchange.json")
        trouble = try fields.optionalString("trouble", maximumLength: 65_536)
        for var item in try fields.objects("seen") {
            seen[try item.string("path", maximumLength: 8192)] = Seen(
                size: try item.integer("size"), modified: try item.integer("modified"))
        }
        for var item in try fields.objects("delivered") {
            delivered[try item.string("path", maximumLength: 8192)] = Delivered(
                id: try item.digest("id"), at: Timestamp(seconds: try item.integer("at")))
        }
    }
}

extension Mailbox {
    /// The exchange at a path, for runs that go on without it: a share that is away becomes one of ``problems`` when it goes
    /// or when the reason changes, and not again in each run.
    ///
    /// - Returns: nil if it cannot be used.
    package func exchange(at root: FilePath) throws(MailboxError) -> Exchange? {
        var cache = ExchangeCache.load(from: home)
        let known = cache.trouble
        var exchange: Exchange?
        do {
            exchange = try Exchange.detect(root, home: home)
            cache.trouble = nil
        } catch {
            cache.trouble = error.description
            if error.description != known { problems.append("exchange: \(error)") }
        }
        if cache.trouble != known { try cache.save(to: home) }
        return exchange
    }
}
