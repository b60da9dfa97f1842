package import Wire

/// Whether a hospital looks at each plan that differs from its own request.
package enum Consent: String, CaseIterable, Sendable {
    /// Such a plan waits on the client's desk.
    case ask
    /// Any plan of the enrolled server is trained.
    case always
}

/// `consilium.yaml` of a client.
package struct ClientConfiguration: Equatable, Sendable {
    package let name: PartyName
    /// The folder of class folders, as written; relative to the home.
    package let data: String?
    /// The share of the data that is kept for validation.
    package let validation: Double
    /// As written; relative to the home.
    package let exchange: String?
    /// How long one operation on a share may take before the run goes on without it, in seconds.
    package let exchangeTimeout: Int64?
    /// How long one run may train, in seconds.
    package let timeBudget: Int64?
    /// How much memory training may use, in bytes.
    package let memory: Int64?
    /// How much disk the features of frozen layers may take, in bytes.
    package let cache: Int64?
    /// How many cores training may use; nil for all.
    package let threads: Int?
    package let consent: Consent
    /// Whether what is sent is encrypted to the server.
    package let encrypt: Bool

    package init(parsing bytes: [UInt8], file: String = "consilium.yaml") throws(ConfigurationError) {
        var reader = try ConfigurationReader(parsing: bytes, file: file)
        name = try reader.read { (fields) throws(JSONError) in try fields.partyName("name") }
        data = try reader.path("data")
        validation = try reader.read { (fields) throws(JSONError) in
            try fields.optionalNumber("validation", in: 0...0.9) ?? 0.2
        }
        exchange = try reader.path("exchange")
        exchangeTimeout = try reader.duration("exchange_timeout", in: 1...86_400)
        timeBudget = try reader.duration("time_budget", in: 60...30 * 86_400)
        memory = try reader.byteSize("memory", atLeast: 256_000_000)
        cache = try reader.byteSize("cache", atLeast: 1_000_000)
        threads = try reader.read { (fields) throws(JSONError) in
            try fields.optionalInteger("threads", in: 1...1024).map { Int($0) }
        }
        consent = try reader.read { (fields) throws(JSONError) in
            let text = try fields.optionalString("consent", maximumLength: 64) ?? Consent.ask.rawValue
            guard let consent = Consent(rawValue: text) else {
                throw fields.problem("consent", "must be ask or always")
            }
            return consent
        }
        encrypt = try reader.read { (fields) throws(JSONError) in try fields.optionalBool("encrypt") ?? true }
        try reader.finish()
    }

    /// The commented file that `client init` writes. What is commented out shows the default.
    package static func template(name: PartyName, data: String?) -> String {
        """
        # Consilium, client. Lines that begin with # show the defaults; unknown keys are refused.
        name: \(name)

        # The pictures: one folder for each class. They are read here and never leave.
        \(data.map { "data: \(quote($0))" } ?? "# data: pictures")

        # The share of the pictures that is not trained on but measures what was learnt.
        # validation: 0.2

        # A folder on a share, an SFTP mount or a stick: "client run" collects and delivers there by itself.
        # exchange: /mnt/consilium

        # How long the share may leave one operation without an answer before the run goes on without it.
        # exchange_timeout: 2m

        # How long one "client run" may train before it saves its place for the next night; without it, until done.
        # time_budget: 8h

        # How much memory and how many cores training may use; without them, what the machine has.
        # memory: 8GB
        # threads: 4

        # How much disk the frozen layers' values may take in cache/ while a session runs. They are as private as pictures.
        # cache: 16GB

        # Everything that is sent is signed, and encrypted to the server with age. "false" sends it readable for whoever
        # carries it: the weights, the scores and the numbers of pictures. Such bundles are still taken from the server.
        # encrypt: true

        # "ask" lets every plan that differs from your own request wait in plans/pending/ for a person; "always" trains it.
        # consent: ask

        """
    }

    /// A YAML double-quoted scalar, whose escapes for these characters are JSON's.
    private static func quote(_ text: String) -> String {
        String(decoding: StrictJSON.serialize(.string(text)).dropLast(), as: UTF8.self)
    }
}
