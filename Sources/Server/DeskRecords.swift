package import Federation
package import Mailbox
package import Wire

/// What the server remembers of the requests and enrolments that lay on its desk, so that numbers stay, every decision is
/// answered once, and a file that somebody moved is recognised by its content.
///
/// A value without I/O; ``DeskStore`` keeps it in `requests/records.json`.
package struct DeskRecords: Equatable, Sendable {
    package enum Status: String, Sendable, CaseIterable {
        case pending, approved, rejected, withdrawn, expired
    }

    /// An enrolment, by the id of its bundle.
    package struct EnrolmentRecord: Equatable, Sendable {
        package let id: Digest
        /// The N of ENR-N.
        package let number: Int
        package let name: PartyName
        /// As `ssh-keygen -lf` prints it.
        package let fingerprint: String
        package let contact: String
        /// Fingerprint of the key that the hospital takes for the server's; empty where its enrolment does not say.
        package let serverKey: String
        package let received: Timestamp
        package internal(set) var status: Status
        package internal(set) var reason: String
        /// The newest decision's time; nil before the first.
        package internal(set) var decided: Timestamp?

        /// How many decisions there were: each is answered.
        package internal(set) var decisions = 0

        /// Whether it was approved once: only what was approved is decided about again, and only what is rejected approved again.
        package var wasApproved: Bool { status == .approved || decisions > 1 }

        package var deskName: DeskName { DeskName(prefix: "ENR", number: number, party: name) }
    }

    /// A request to train, by the id of its bundle.
    package struct RequestRecord: Equatable, Sendable {
        package let id: Digest
        /// The N of REQ-N.
        package let number: Int
        package let client: PartyName
        package let request: TrainingRequest
        package let received: Timestamp
        package let expires: Timestamp
        /// Fingerprint of the key that signed it; nil in records of before it was noted.
        package let signer: String?
        package internal(set) var status: Status
        package internal(set) var reason: String
        /// The newest decision's time; nil before the first.
        package internal(set) var decided: Timestamp?
        /// The session that it trains in.
        package internal(set) var session: RandomID?
        /// Its file was moved to `rejected/` after the approval.
        package internal(set) var isDropped = false

        package var deskName: DeskName { DeskName(prefix: "REQ", number: number, party: client) }
        package var label: String { deskName.short }
        package var fileName: String { deskName.text }
    }

    package internal(set) var enrolments: [EnrolmentRecord] = []
    package internal(set) var requests: [RequestRecord] = []
    /// What has been said to the admin once and is not said again.
    package internal(set) var announced = Announcements()

    package init() {}

    package func request(_ id: Digest) -> RequestRecord? { requests.first { $0.id == id } }
    package func enrolment(_ id: Digest) -> EnrolmentRecord? { enrolments.first { $0.id == id } }

    /// Whether a person, the hospital or time decided about the bundle, at least for now.
    package func isDecided(_ id: Digest) -> Bool {
        let status = request(id)?.status ?? enrolment(id)?.status
        return status.map { $0 != .pending } ?? false
    }

    /// By `REQ-3`, `req-3`, `3`, or the file's name.
    package func request(named text: String) -> RequestRecord? {
        let upper = text.uppercased()
        return requests.first {
            $0.label == upper || "\($0.number)" == text || $0.fileName == text || $0.id.hex == text
        }
    }

    /// Adds a request under the next number; one that is known already keeps its number.
    ///
    /// - Parameter number: is kept if it is free: the file on the desk carries it.
    mutating func add(
        request: TrainingRequest, id: Digest, client: PartyName, received: Timestamp, expires: Timestamp,
        signer: String,
        number wanted: Int? = nil
    ) {
        guard self.request(id) == nil else { return }
        let number = free(wanted, among: requests.map(\.number))
        requests.append(
            RequestRecord(
                id: id, number: number, client: client, request: request, received: received, expires: expires,
                signer: signer, status: .pending, reason: "", decided: nil, session: nil))
    }

    mutating func add(
        enrolment: Enrolment, id: Digest, fingerprint: String, received: Timestamp, number wanted: Int? = nil
    ) {
        guard self.enrolment(id) == nil else { return }
        let number = free(wanted, among: enrolments.map(\.number))
        enrolments.append(
            EnrolmentRecord(
                id: id, number: number, name: enrolment.name, fingerprint: fingerprint, contact: enrolment.contact,
                serverKey: enrolment.serverKey ?? "", received: received, status: .pending, reason: "", decided: nil))
    }

    mutating func forget(requests ids: Set<Digest>) { requests.removeAll { ids.contains($0.id) } }

    private func free(_ wanted: Int?, among taken: [Int]) -> Int {
        if let wanted, (1...999_999).contains(wanted), !taken.contains(wanted) { return wanted }
        return (taken.max() ?? 0) + 1
    }

    mutating func decide(request id: Digest, _ status: Status, reason: String = "", now: Timestamp) {
        update(request: id) { record in
            record.status = status
            record.reason = reason
            record.decided = now
        }
    }

    mutating func decide(enrolment id: Digest, _ status: Status, reason: String = "", now: Timestamp) {
        update(enrolment: id) { record in
            record.status = status
            record.reason = reason
            record.decided = now
            record.decisions += 1
        }
    }

    mutating func update(request id: Digest, _ change: (inout RequestRecord) -> Void) {
        guard let index = requests.firstIndex(where: { $0.id == id }) else { return }
        change(&requests[index])
    }

    mutating func update(enrolment id: Digest, _ change: (inout EnrolmentRecord) -> Void) {
        guard let index = enrolments.firstIndex(where: { $0.id == id }) else { return }
        change(&enrolments[index])
    }
}

extension DeskRecords {
    package var json: JSONValue {
        [
            "announced": announced.json,
            "enrolments": .array(
                enrolments.map { record in
                    [
                        "id": .string(record.id.hex), "number": .integer(Int64(record.number)),
                        "name": .string(record.name.text),
                        "fingerprint": .string(record.fingerprint), "contact": .string(record.contact),
                        "server_key": .string(record.serverKey), "received": .string(record.received.rfc3339),
                        "status": .string(record.status.rawValue),
                        "reason": .string(record.reason), "decisions": .integer(Int64(record.decisions)),
                        "decided": record.decided.map { .string($0.rfc3339) } ?? .null,
                    ]
                }),
            "requests": .array(
                requests.map { record in
                    [
                        "id": .string(record.id.hex), "number": .integer(Int64(record.number)),
                        "client": .string(record.client.text), "request": record.request.json,
                        "received": .string(record.received.rfc3339), "expires": .string(record.expires.rfc3339),
                        "status": .string(record.status.rawValue), "reason": .string(record.reason),
                        "session": record.session.map { .string($0.hex) } ?? .null,
                        "dropped": .bool(record.isDropped), "signer": record.signer.map { .string($0) } ?? .null,
                        "decided": record.decided.map { .string($0.rfc3339) } ?? .null,
                    ]
                }),
        ]
    }

    package init(json: JSONValue, context: String) throws {
        var object = try ObjectReader(json, context: context)
        announced = Announcements(try object.strings("announced"))
        enrolments = try object.array("enrolments").map { value in
            var entry = try ObjectReader(value, context: "\(context): enrolments")
            let record = EnrolmentRecord(
                id: try entry.digest("id"), number: Int(try entry.integer("number", in: 1...Int64(Int32.max))),
                name: try entry.partyName("name"),
                fingerprint: try entry.string("fingerprint"), contact: try entry.string("contact"),
                serverKey: try entry.optionalString("server_key") ?? "", received: try entry.time("received"),
                status: try entry.status(), reason: try entry.string("reason"),
                decided: try entry.optionalTime("decided"),
                decisions: Int(try entry.optionalInteger("decisions", in: 0...Int64(Int32.max)) ?? 0))
            try entry.finish()
            return record
        }
        requests = try object.array("requests").map { value in
            var entry = try ObjectReader(value, context: "\(context): requests")
            let record = RequestRecord(
                id: try entry.digest("id"), number: Int(try entry.integer("number", in: 1...Int64(Int32.max))),
                client: try entry.partyName("client"),
                request: try TrainingRequest(json: try entry.value("request"), context: "\(context): request"),
                received: try entry.time("received"), expires: try entry.time("expires"),
                signer: entry.has("signer") ? try entry.optionalString("signer") : nil, status: try entry.status(),
                reason: try entry.string("reason"), decided: try entry.optionalTime("decided"),
                session: try entry.optionalRandomID("session"),
                isDropped: try entry.optionalBool("dropped") ?? false)
            try entry.finish()
            return record
        }
        try object.finish()
    }
}

extension ObjectReader {
    fileprivate mutating func time(_ key: String) throws -> Timestamp {
        guard let time = Timestamp(rfc3339: try string(key)) else { throw problem(key, "must be a UTC time") }
        return time
    }

    fileprivate mutating func optionalTime(_ key: String) throws -> Timestamp? {
        optionalValue(key) == nil ? nil : try time(key)
    }

    fileprivate mutating func status() throws -> DeskRecords.Status {
        guard let status = DeskRecords.Status(rawValue: try string("status")) else {
            throw problem("status", "is not a known status")
        }
        return status
    }
}
