package import Wire

/// `decision.json`: the server's answer to an enrolment, a request or a withdrawal, and its notice of a drop. About a session
/// it says who is excluded and readmitted, with ``Verdict/rejected`` that an update was not taken as it came, and with
/// ``Verdict/withdrawn`` that one which was taken counts no more, since the key that signed it is revoked.
package struct Decision: Message {
    package static let fileName = "decision.json"

    package enum Verdict: String, Sendable, CaseIterable {
        case approved, rejected
        /// The admin took the client out of a session that had started.
        case dropped
        /// The client's own withdrawal is confirmed.
        case withdrawn
        /// Two bundles with one sequence number: excluded until the admin readmits the client.
        case excluded
        case readmitted
    }

    package enum Subject: String, Sendable, CaseIterable { case enrolment, request, withdrawal, session }

    package var subject: Subject
    /// The decided bundle's id.
    package var about: Digest
    package var verdict: Verdict
    /// For people; may be empty.
    package var reason: String
    /// The session that the request trains in; nil where it does not apply.
    package var session: RandomID?
    /// SHA-256 of the session's `plan.json`.
    package var plan: Digest?

    /// To be excluded or readmitted is no fate of a request.
    package var isOfStanding: Bool { verdict == .excluded || verdict == .readmitted }

    package init(
        subject: Subject, about: Digest, verdict: Verdict, reason: String = "", session: RandomID? = nil,
        plan: Digest? = nil
    ) {
        self.subject = subject
        self.about = about
        self.verdict = verdict
        self.reason = Reason(reason).reason
        self.session = session
        self.plan = plan
    }

    package var json: JSONValue {
        JSONValue(fields: [
            "subject": .string(subject.rawValue), "about": JSONValue(about), "verdict": .string(verdict.rawValue),
            "reason": .string(reason), "session": session.map { .string($0.hex) }, "plan": plan.map { JSONValue($0) },
        ])
    }

    package init(reading object: inout ObjectReader) throws {
        subject = try object.choice("subject")
        about = try object.digest("about")
        verdict = try object.choice("verdict")
        reason = try object.text("reason")
        session = try object.optionalRandomID("session")
        plan = try object.optionalDigest("plan")
    }
}

/// `reason.json`: why a client withdraws, or the server aborts.
package struct Reason: Message {
    package static let fileName = "reason.json"

    package var reason: String

    /// Cuts what is too long and replaces what must not be printed, so that every reason that is written can be read.
    package init(_ text: String) {
        var kept = String.UnicodeScalarView()
        var bytes = 0
        for scalar in text.unicodeScalars {
            let shown = isPrintable(String(scalar)) ? scalar : "?"
            bytes += UTF8.width(shown)
            if bytes > FederationLimits.textBytes { break }
            kept.append(shown)
        }
        reason = String(kept)
    }

    package var json: JSONValue { ["reason": .string(reason)] }
    package init(reading object: inout ObjectReader) throws { reason = try object.text("reason") }
}
