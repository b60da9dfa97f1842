import Bundles
package import Federation
import Files
package import Mailbox
package import SystemPackage
package import Tensors
package import Wire

/// Global models that were kept: `versions/NNNN/` with `model.safetensors` (whole), `version.json` (lineage, metrics) and
/// `card.md` (the same for people). `version.json` is written last: without it there is no version. Until then, and while
/// a version is removed, `unfinished` lies beside it: a folder without both has lost its record, and its number stays taken,
/// since hospitals may have that version.
package struct VersionStore: Sendable {
    package let home: Home
    package init(home: Home) { self.home = home }

    package func modelPath(_ number: Int) -> FilePath { home.version(number).appending("model.safetensors") }
    private func markPath(_ number: Int) -> FilePath { home.version(number).appending("unfinished") }
    private func recordPath(_ number: Int) -> FilePath { home.version(number).appending(VersionRecord.fileName) }

    /// Numbers of the complete versions, ascending.
    package func numbers() throws -> [Int] {
        try folders().filter { try home.files.exists(recordPath($0)) }
    }

    /// Numbers of versions whose record is gone, ascending. A run removes what a killed one was still writing.
    package func lost() throws -> [Int] {
        try folders().filter { number in
            guard try !home.files.exists(recordPath(number)), try !home.files.exists(markPath(number)) else {
                return false
            }
            return try home.files.list(home.version(number)).contains { !TemporaryName.isOurs($0.name) }
        }
    }

    private func folders() throws -> [Int] {
        try home.files.list(home.versions).compactMap { $0.kind == .directory ? Int($0.name) : nil }.sorted()
    }

    /// The newest version; nil before the first model.
    package func head() throws -> Int? { try numbers().last }

    package func record(_ number: Int) throws -> VersionRecord {
        let path = recordPath(number)
        guard try home.files.exists(path) else {
            let known = try numbers().map { "\($0)" }.joined(separator: ", ")
            throw ServerError(
                .missing, "there is no version \(number)",
                hint: known.isEmpty ? "none is saved yet" : "there are \(known)")
        }
        do {
            return try VersionRecord(
                decoding: try home.files.readFile(path, limit: FederationLimits.messageBytes))
        } catch let error as FederationError {
            throw ServerError(.damaged, "\(path): \(error)", hint: "restore it from a backup")
        }
    }

    package func records() throws -> [VersionRecord] { try numbers().map { try record($0) } }

    /// The number that the next version gets. Pruning keeps the newest version, so no number is used twice; an unfinished
    /// folder is what a killed run left behind, and its number is still free.
    package func nextNumber() throws -> Int { ([try head(), try lost().last].compactMap(\.self).max() ?? -1) + 1 }

    /// What was stopped after it had written the record, or before it removed it, left its mark: should the record be lost
    /// later, the number would be free.
    func removeMarks() throws {
        for number in try numbers() where try home.files.exists(markPath(number)) {
            try home.files.remove(markPath(number))
        }
    }

    private func begin(_ number: Int) throws {
        try home.files.makeDirectories(home.version(number))
        try home.files.writeFile(markPath(number), Array("this version has no record yet\n".utf8))
    }

    /// Keeps a first model, of `model import` or `model init`.
    ///
    /// - Parameter encoded: a safetensors file whose metadata is a whole ``ModelMetadata``.
    package func install(
        encoded: [UInt8], metadata: ModelMetadata, origin: VersionRecord.Origin, note: String, now: Timestamp
    ) throws -> VersionRecord {
        let number = try nextNumber()
        try begin(number)
        try home.files.writeFile(modelPath(number), encoded)
        let record = VersionRecord(
            number: number, origin: origin, created: now, architecture: metadata.architecture,
            classes: metadata.classes, imageSize: metadata.imageSize, crop: metadata.crop,
            model: SHA256Hash.digest(of: encoded), note: note)
        try save(record)
        return record
    }

    /// Keeps what a finished session made: its trained tensors over the frozen ones.
    package func save(_ session: Session, order: VersionOrder, sessions: SessionStore, now: Timestamp) throws -> Int {
        let head = try head()
        // A run that was killed after the record was written finds its version again.
        if let done = try records().last(where: { $0.session == session.id }) { return done.number }
        guard let start = session.start else {
            throw ServerError(.damaged, "session \(session.name) is finished but has no plan")
        }
        let number = try nextNumber()
        try begin(number)
        var sources: [any TensorSource] = []
        if start.base != nil { sources.append(try ModelFiles.open(sessions.basePath(session.id))) }
        sources.append(try ModelFiles.open(try sessions.path(of: order.model, in: session)))
        let metadata = ModelMetadata(
            architecture: start.plan.architecture, classes: start.plan.classes, imageSize: start.plan.imageSize,
            crop: start.plan.crop)
        let digest = try ModelFiles.write(
            sources, metadata: metadata.fields, to: modelPath(number), files: home.files)
        guard let record = VersionRecord(number: number, of: session, model: digest, head: head, created: now) else {
            throw ServerError(.damaged, "session \(session.name) has no model to keep")
        }
        try save(record)
        return number
    }

    private func save(_ record: VersionRecord) throws {
        let folder = home.version(record.number)
        try home.files.writeFile(folder.appending("card.md"), Array(ModelCard.text(record).utf8))
        try home.files.writeFile(
            recordPath(record.number), StrictJSON.serialize(record.json, pretty: true))
        try home.files.remove(markPath(record.number))
    }

    /// Removes a version; its record first, so that half a version is none.
    package func remove(_ number: Int) throws {
        // A disk that is full must not keep anybody from making room.
        try? begin(number)
        try home.files.remove(recordPath(number))
        try home.files.removeTree(home.version(number))
    }
}
