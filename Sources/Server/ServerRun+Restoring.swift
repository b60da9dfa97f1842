import Bundles
import Federation
import Mailbox
import Wire

/// What the desk's own files still say after `requests/records.json` is lost: they are signed, and this home remembers
/// that it took them in.
extension ServerRun {
    func restoreEnrolment(_ item: DeskItem) throws {
        guard item.manifest.kind == .enrol else { return }
        try isolated(item.name) {
            let enrolment = try Enrolment(
                decoding: try item.bundle.payload(Enrolment.fileName, limit: FederationLimits.messageBytes))
            records.add(
                enrolment: enrolment, id: item.id, fingerprint: item.bundle.signer.fingerprint, received: now,
                number: item.deskName?.number)
            guard let record = records.enrolment(item.id) else { return }
            // Enrolled already, and believed: so that a later move to rejected/ still takes the key out.
            if item.state != .pending, mailbox.trust.party(record.name)?.keys.contains(item.bundle.signer) == true {
                records.decide(enrolment: item.id, .approved, now: now)
            }
            attention("\(record.deskName.short) of \(record.name) is on record again, from its file on the desk")
        }
    }

    func restoreRequest(_ item: DeskItem) throws {
        guard item.manifest.kind == .request else { return }
        try isolated(item.name) {
            let request = try TrainingRequest(
                decoding: try item.bundle.payload(TrainingRequest.fileName, limit: FederationLimits.messageBytes))
            records.add(
                request: request, id: item.id, client: item.sender, received: now, expires: item.manifest.expires,
                signer: item.bundle.signer.fingerprint, number: item.deskName?.number)
            guard let record = records.request(item.id) else { return }
            if let session = sessions.last(where: { $0[record.client]?.request == item.id }) {
                records.decide(request: item.id, .approved, now: now)
                records.update(request: item.id) { $0.session = session.id }
            }
            attention("\(record.label) of \(record.client) is on record again, from its file on the desk")
        }
    }
}
