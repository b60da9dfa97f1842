import ArgumentParser
import Bundles
import Client
import Mailbox
import Wire

struct KeyShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows the public part of a home's keys.",
        discussion: """
            The fingerprint is what two people read to each other by telephone before they trust each other's bundles; \
            --verbose adds those that this home trusts. Nothing secret is printed.

            EXAMPLES:
              consilium key show --home A
            """)

    @OptionGroup var home: HomeOption

    @OptionGroup var output: OutputOptions

    func run() throws {
        let home = try home.open()
        let identity = try Identity.load(from: home)
        let (key, recipient) = (identity.signing.publicKey, identity.age.recipient.description)
        let trust = output.verbose || output.json || !identity.retired.isEmpty ? try TrustStore.load(from: home) : nil
        let parties = output.verbose || output.json ? trust?.parties ?? [] : []
        let trusted = parties.filter { $0.name != home.name }
            .flatMap { party in party.keys.map { (party: party, key: $0) } }
        // The fingerprint is read on the telephone just where something else is damaged: 'doctor' says that.
        let known = home.role == .client ? try? (ClientState.load(from: home), TrustStore.load(from: home)) : nil
        let revocation = known.flatMap { state, trust in state.revocation(of: key, trust: trust) }
        if output.json {
            return Console.print(json: [
                "schema_version": 1, "name": .string(home.name.text), "role": .string(home.role.rawValue),
                "fingerprint": .string(key.fingerprint), "public_key": .string(key.openSSHLine),
                "age_recipient": .string(recipient), "in_agent": .bool(identity.signing.isInAgent),
                "revoked": .bool(revocation != nil),
                "next_fingerprint": identity.next.map { .string($0.publicKey.fingerprint) } ?? .null,
                "trusted": .array(
                    trusted.map { ["name": .string($0.party.name.text), "fingerprint": .string($0.key.fingerprint)] }),
            ])
        }
        var own = [
            ("name", "\(home.name), a \(home.role.rawValue)"),
            ("fingerprint", key.fingerprint + (revocation == nil ? "" : ", revoked by \(home.record.server)")),
            ("public key", "\(key.openSSHLine) \(home.name)"), ("age recipient", recipient),
        ]
        if identity.signing.isInAgent { own.append(("signs with", "the ssh-agent of \(SSHAgent.variable)")) }
        if let next = identity.next { own.append(("next key", next.publicKey.fingerprint)) }
        own += identity.retired.map { old in
            let key = old.key.publicKey
            let isRevoked = trust?.isRevoked(key) == true
            return ("old key", key.fingerprint + (isRevoked ? ", revoked" : ", kept until \(old.until.rfc3339)"))
        }
        let others = trusted.map { ("trusts", "\($0.key.fingerprint) as \($0.party.name)'s") }
        Console.print(FactList(own + others).text)
    }
}
