import Bundles
import Files
import Foundation
import SystemPackage
import Testing
import Wire

/// Keys of the homes, and bundles that a test signs with them.
extension World {
    func fingerprint(_ home: String) throws -> String {
        try #require(try json("key", "show", "--home", home)["fingerprint"].text)
    }

    /// The fingerprints that a home believes of a party, oldest first.
    func trusted(_ party: String, at home: String) throws -> [String] {
        try json("key", "show", "--home", home)["trusted"].items
            .filter { $0["name"].text == party }.compactMap { $0["fingerprint"].text }
    }

    func key(_ home: String, _ file: String = "id_ed25519") throws -> SigningKey {
        try SigningKey(openSSHPrivateKey: try bytes("\(home)/identity/\(file)"))
    }

    /// Moves what waits on the enrolment desk, and runs the tick.
    @discardableResult
    func approveEnrolments() throws -> Outcome {
        try shell("mv S/enrolments/pending/*.tar S/enrolments/approved/")
        return try serve()
    }

    /// A statement about keys, in the server's name, straight into a hospital's inbox.
    func layTrust(
        _ content: JSONValue, seq: Int64, to home: String, key: SigningKey, federation: String? = nil,
        sender: String = "ministry", receiver: String? = nil
    ) throws {
        let record = try StrictJSON.parse(try bytes("S/mailbox/home.json"), maximumBytes: 1 << 16)
        let id = try #require(RandomID(hex: federation ?? record["federation"].text ?? ""))
        let from = try #require(PartyName(sender))
        let to = try #require(PartyName(receiver ?? "hospital-\(home)"))
        let manifest = Manifest(
            kind: .trust, federation: id, session: .none, round: 0, seq: seq, sender: from, recipients: [to],
            created: now, expires: now.adding(days: 90),
            acks: [])
        _ = try BundleWriter.write(
            manifest, payload: [.bytes(name: "trust.json", StrictJSON.serialize(content))], key: key,
            to: FilePath(path("\(home)/inbox/forged-\(seq).tar")), files: LocalFileSystem())
    }

    /// The content of `trust.json`: the server's keys with their times in days from now.
    func statement(
        _ keys: [(key: PublicKey, after: Int64?, before: Int64?)], revoked: [PublicKey] = [],
        about subject: String = "ministry", recipient: String? = nil
    ) -> JSONValue {
        let windows = keys.map { entry -> JSONValue in
            var fields: [String: JSONValue] = ["key": .string(entry.key.openSSHLine)]
            if let days = entry.after { fields["valid_after"] = .string(now.adding(days: days).rfc3339) }
            if let days = entry.before { fields["valid_before"] = .string(now.adding(days: days).rfc3339) }
            return .object(fields)
        }
        var content: [String: JSONValue] = [
            "subject": .string(subject), "keys": .array(windows),
            "revoked": .array(revoked.map { .string($0.openSSHLine) }), "reason": "",
        ]
        if let recipient { content["age_recipient"] = .string(recipient) }
        return .object(content)
    }
}

extension World {
    /// An invite with this content, by whoever has the key.
    func layInvite(_ content: JSONValue, key: SigningKey, as file: String) throws {
        let manifest = Manifest(
            kind: .invite, federation: try #require(RandomID(hex: content["federation"].text ?? "")), session: .none,
            round: 0, seq: 1, sender: try #require(PartyName(content["server"].text ?? "")), recipients: [],
            created: now,
            expires: now.adding(days: 30), acks: [])
        _ = try BundleWriter.write(
            manifest, payload: [.bytes(name: "invite.json", StrictJSON.serialize(content))], key: key,
            to: FilePath(path(file)), files: LocalFileSystem())
    }
}
