import Bundles
package import Federation
import Files
import Mailbox
import SystemPackage
import Tensors
package import Wire

extension ServerRun {
    /// Sends a version to one enrolled client, as the final global of the session that made it.
    package func export(version number: Int, to client: PartyName, actor: String) throws {
        let record = try versions.record(number)
        guard mailbox.trust.party(client)?.role == .client else {
            let known = mailbox.trust.parties.filter { $0.role == .client }.map(\.name.text).joined(separator: ", ")
            throw ServerError(
                .missing, "\(client) is not enrolled here",
                hint: known.isEmpty ? "nobody is yet" : "enrolled are \(known)")
        }
        guard let id = record.session, let session = session(id), let plan = session.plan, let report = session.report,
            report.phase == .final
        else {
            throw ServerError(
                .notAllowed, "version \(number) was made by no session, so no signed account of it can be sent",
                hint: "write it to a file with 'consilium model export'")
        }
        var payload: [PayloadSource] = [
            .bytes(name: Plan.fileName, plan.encoded), .bytes(name: RoundReport.fileName, report.encoded),
            .file(name: "model.safetensors", try store.path(of: report.model, in: session)),
        ]
        if session.start?.base != nil { payload.append(.file(name: "base.safetensors", store.basePath(id))) }
        // Whoever asks again has a reason: the client lost it, or its stick did.
        let prefix = "export/\(number)/\(client)/"
        let earlier = mailbox.outgoing.count { $0.key.hasPrefix(prefix) }
        // What is sent to a revoked key nobody would be given.
        if let obstacle = mailbox.obstacle(to: client)
            ?? (isBelieved(client) ? nil : "no key of \(client) is believed here any more")
        {
            throw ServerError(.notAllowed, obstacle)
        }
        try audit("export", subject: record.model.hex, detail: "version \(number) to \(client)", actor: actor)
        try mailbox.send(
            key: "\(prefix)\(earlier + 1)", kind: .global, to: [client], session: id, round: report.round,
            base: report.base, payload: payload)
        detail("version \(number) for \(client) lies in the outbox")
    }

    /// A round averaged again from the archived, signed updates.
    package struct Recomputation: Equatable, Sendable {
        package let round: Int
        package let recorded: Digest
        /// nil: an update is no longer in the archive.
        package let recomputed: Digest?
        package var isProven: Bool { recomputed == recorded }
    }

    /// Averages every closed round of a session again and compares the bytes.
    package func verify(_ session: Session) throws -> [Recomputation] {
        try session.history.map { round in
            guard let strategy = session.plan?.strategy else {
                throw ServerError(.damaged, "session \(session.name) has rounds but no plan")
            }
            var stream = SHA256Stream()
            do {
                let inputs = try round.participants.compactMap { line -> AggregationInput? in
                    guard let counted = line.counted else { return nil }
                    return AggregationInput(
                        client: line.client, weight: counted.weight, source: try archivedUpdate(counted.update))
                }
                try Aggregation.run(
                    base: try ModelFiles.open(try store.path(of: round.base, in: session)), inputs: inputs,
                    strategy: strategy.aggregation
                ) { stream.update(Array($0)) }
            } catch let error as BundleError where error.cause?.isMissing == true {
                return Recomputation(round: round.number, recorded: round.model, recomputed: nil)
            }
            return Recomputation(round: round.number, recorded: round.model, recomputed: stream.finish())
        }
    }

    /// The weights of an archived update, mapped straight out of its bundle, which is verified once more on the way.
    func archivedUpdate(_ id: Digest) throws -> MappedSafetensors {
        let bundle = try BundleReader.open(home.archived(id), files: files).verified()
        let range = try bundle.payloadRange("update.safetensors")
        return try MappedSafetensors(path: bundle.path.string, offset: range.offset, length: range.size)
    }
}
