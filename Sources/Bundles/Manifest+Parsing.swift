import Wire

extension Manifest {
    /// Reads a manifest; see the type's rules. Whoever calls this has checked the signature over the same bytes first.
    package init(parsing bytes: [UInt8], limits: BundleLimits = .standard) throws(BundleError) {
        guard bytes.count <= limits.manifestBytes else {
            throw BundleError(.tooLarge, "the manifest has more than \(limits.manifestBytes) bytes")
        }
        do {
            let value = try StrictJSON.parseCanonical(bytes, maximumBytes: limits.manifestBytes)
            var reader = try ObjectReader(value, context: Manifest.fileName)
            let format = try reader.string("format")
            guard format == Manifest.format else {
                let hint = "this program reads \(Manifest.format); a newer version may be needed"
                throw Refusal.bundle(BundleError(.unknownFormat, "format '\(format.excerpt)' is unknown; \(hint)"))
            }
            let kind = try reader.string("kind")
            guard let kind = BundleKind(rawValue: kind) else {
                throw Refusal.bundle(BundleError(.unknownKind, "bundle kind '\(kind.excerpt)' is unknown"))
            }
            try self.init(kind: kind, reader: &reader, limits: limits)
        } catch Refusal.bundle(let error) {
            throw error
        } catch {
            throw BundleError(.malformedManifest, "\(error)")
        }
    }

    /// Lets one `do` block carry both kinds of error.
    private enum Refusal: Error { case bundle(BundleError) }

    private init(kind: BundleKind, reader: inout ObjectReader, limits: BundleLimits) throws(JSONError) {
        let times = 0...Timestamp.latest.seconds
        self.init(
            kind: kind, federation: try reader.randomID("federation"), session: try reader.randomID("session"),
            round: Int(try reader.integer("round", in: 0...limits.round)),
            seq: try reader.integer("seq", in: 1...limits.sequence), sender: try reader.partyName("sender"),
            recipients: try Manifest.recipients(&reader, limits: limits),
            created: Timestamp(seconds: try reader.integer("created", in: times)),
            expires: Timestamp(seconds: try reader.integer("expires", in: times)),
            request: try reader.optionalDigest("request"), base: try reader.optionalDigest("base"),
            prev: try reader.optionalDigest("prev"), acks: try Manifest.acks(&reader, limits: limits),
            files: try Manifest.files(&reader, limits: limits))
        // The protocol writes an empty string for "does not apply"; leaving the key out is another encoding.
        for key in ["request", "base", "prev"] where !reader.has(key) { throw reader.problem(key, "is missing") }
        try reader.finish()

        guard recipients.isEmpty == (kind == .invite) else {
            throw reader.problem("recipients", kind == .invite ? "must be empty in an invite" : "must not be empty")
        }
        if let belongs = kind.hasSession, belongs == session.isNone {
            let wanted = belongs ? "must name the session" : "must be 32 zeros"
            throw reader.problem("session", "\(wanted) in a bundle of kind \(kind.rawValue)")
        }
        guard !session.isNone || round == 0 else { throw reader.problem("round", "must be 0 outside sessions") }
        guard expires > created else { throw reader.problem("expires", "must be after 'created'") }
    }

    private static func recipients(
        _ reader: inout ObjectReader, limits: BundleLimits
    ) throws(JSONError) -> [PartyName] {
        var names: [PartyName] = []
        for text in try reader.strings("recipients") {
            guard let name = PartyName(text) else { throw reader.problem("recipients", "must be configured names") }
            if let last = names.last, last >= name { throw reader.problem("recipients", "must be sorted and unique") }
            names.append(name)
        }
        guard names.count <= limits.recipients else {
            throw reader.problem("recipients", "must be at most \(limits.recipients)")
        }
        return names
    }

    private static func acks(_ reader: inout ObjectReader, limits: BundleLimits) throws(JSONError) -> [Digest] {
        var acks: [Digest] = []
        for text in try reader.strings("acks") {
            guard let digest = Digest(hex: text) else { throw reader.problem("acks", "must be SHA-256 digests") }
            acks.append(digest)
        }
        guard acks.count <= limits.acks else { throw reader.problem("acks", "must be at most \(limits.acks)") }
        guard Set(acks).count == acks.count else { throw reader.problem("acks", "must be unique") }
        return acks
    }

    private static func files(_ reader: inout ObjectReader, limits: BundleLimits) throws(JSONError) -> [PayloadFile] {
        var files: [PayloadFile] = []
        var names: Set<String> = [fileName, signatureName]
        for var item in try reader.objects("files") {
            let name = try item.string("name")
            guard PayloadFile.isAllowed(name: name, limits: limits) else {
                throw item.problem(
                    "name", "must have 1 to \(limits.nameBytes) of a-z 0-9 . _ - and begin with one of a-z 0-9")
            }
            guard names.insert(name).inserted else { throw item.problem("name", "'\(name)' must be unique") }
            let size = try item.integer("size", in: 0...limits.fileBytes)
            files.append(PayloadFile(name: name, size: size, sha256: try item.digest("sha256")))
            try item.finish()
        }
        guard files.count <= limits.files else { throw reader.problem("files", "must be at most \(limits.files)") }
        return files
    }
}
