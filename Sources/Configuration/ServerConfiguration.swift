package import Wire

/// `consilium.yaml` of a server.
///
/// The keys of a plan stand beside the others, flat; they are kept apart as a JSON object, unread, for `Federation`'s plan
/// to read over its own defaults, so that there is one place which knows their meaning.
package struct ServerConfiguration: Equatable, Sendable {
    package let name: PartyName
    /// As written; relative to the home.
    package let exchange: String?
    /// How long one operation on a share may take before the run goes on without it, in seconds.
    package let exchangeTimeout: Int64?
    /// Whether what is sent, but for invites, is encrypted to its recipients.
    package let encrypt: Bool
    /// Whether an update that comes in the clear is refused.
    package let requireEncryption: Bool
    /// How many requests a named session waits for.
    package let minimumClients: Int
    /// How many versions `prune` leaves by default.
    package let keepVersions: Int
    /// An object with those keys of a plan that the file names.
    package let planDefaults: JSONValue

    /// The keys that belong to a plan.
    package static let planKeys = [
        "rounds", "local_epochs", "batch_size", "image_size", "crop", "optimizer", "learning_rate",
        "head_learning_rate", "schedule",
        "momentum", "weight_decay", "clip_norm", "train_from", "augmentation", "feature_views", "strategy", "quorum",
        "deadline",
        "late", "early_stop", "batch_norm", "dropout", "class_weights", "logit_adjustment",
        "seed",
    ]

    /// - Parameter planKeys: which keys are left to the plan.
    package init(
        parsing bytes: [UInt8], planKeys: [String] = ServerConfiguration.planKeys, file: String = "consilium.yaml"
    ) throws(ConfigurationError) {
        var reader = try ConfigurationReader(parsing: bytes, file: file)
        name = try reader.read { (fields) throws(JSONError) in try fields.partyName("name") }
        exchange = try reader.path("exchange")
        exchangeTimeout = try reader.duration("exchange_timeout", in: 1...86_400)
        encrypt = try reader.read { (fields) throws(JSONError) in try fields.optionalBool("encrypt") ?? true }
        requireEncryption = try reader.read { (fields) throws(JSONError) in
            try fields.optionalBool("require_encryption") ?? true
        }
        minimumClients = try reader.read { (fields) throws(JSONError) in
            Int(try fields.optionalInteger("minimum_clients", in: 1...1000) ?? 2)
        }
        keepVersions = try reader.read { (fields) throws(JSONError) in
            Int(try fields.optionalInteger("keep_versions", in: 1...10_000) ?? 10)
        }
        planDefaults = try reader.read { (fields) throws(JSONError) in
            var plan: [String: JSONValue] = [:]
            for key in planKeys {
                if let value = fields.optionalValue(key) { plan[key] = value }
            }
            return .object(plan)
        }
        try reader.finish()
    }

    /// The commented file that `server init` writes. What is commented out shows the default.
    package static func template(name: PartyName) -> String {
        """
        # Consilium, server. Lines that begin with # show the defaults; unknown keys are refused.
        name: \(name)

        # A folder on a share, an SFTP mount or a stick: "server run" collects and delivers there by itself.
        # Either EXCHANGE/<client>/inbox and /outbox (one account each), or EXCHANGE/inbox and /outbox for everybody.
        # "inbox" is what comes to the server, "outbox" what comes from it.
        # exchange: /srv/consilium/exchange

        # How long the share may leave one operation without an answer before the run goes on without it.
        # exchange_timeout: 2m

        # Everything that is sent is signed and, but for the invite, encrypted with age to all whom it is for. "false" sends
        # it readable for whoever carries it.
        # encrypt: true

        # A hospital's update that comes in the clear is refused, and the hospital told how to send it encrypted. "false" takes it.
        # require_encryption: true

        # A named session (requests/approved/NAME/) starts when it has at least so many requests.
        # minimum_clients: 2

        # "server prune" without --keep leaves the newest so many versions.
        # keep_versions: 10

        # The plan of a session, where its plan.yaml, or without one the request with the lowest number, says nothing else.
        # rounds: 10
        # local_epochs: 2
        # batch_size: 32
        # image_size: 224
        # optimizer: adam
        # learning_rate: 0.0001
        # head_learning_rate: null          # the same, unless a number is given
        # schedule: constant                # or {name: cosine, warmup: 0.5}, {name: step, every: 5, factor: 0.1}; in epochs
        # momentum: 0.9
        # weight_decay: 0.0
        # clip_norm: null
        # train_from: all
        # feature_views: 0
        # augmentation: {rotation: 15, zoom: 0.15, shift: 0.05, horizontal_flip: true, brightness: 0, contrast: 0}
        # batch_norm: training
        # dropout: 0.2
        # class_weights: none
        # logit_adjustment: 0.0             # 1.0 where hospitals have different shares of the classes
        # strategy: {name: fedprox, mu: 0.01}

        # How many participants must answer (all, a number, or a share such as 0.5), until when, and what becomes of
        # an answer after that.
        # quorum: all
        # deadline: 14d
        # late: drop

        """
    }
}
