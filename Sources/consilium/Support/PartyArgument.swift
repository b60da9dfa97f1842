import Mailbox
import Wire

/// A client's name from the command line.
func partyName(_ text: String) throws -> PartyName {
    guard let name = PartyName(text) else { throw CommandFailure(.usage, "'\(text)' is not the name of a party") }
    return name
}

/// The name that a new home is to have, from `--name`.
func newPartyName(_ text: String) throws -> PartyName {
    guard let name = PartyName(text) else {
        throw CommandFailure(
            .usage, "--name: '\(text)' is not a name",
            hint: "use a-z, 0-9 and hyphens, 1 to 40 of them, no hyphen first")
    }
    if let objection = name.objection {
        throw CommandFailure(.usage, "--name: \(objection)", hint: "choose another one")
    }
    return name
}

/// The client that a server's exchange is for, from `--for`.
func servedClient(_ text: String?, _ home: Home) throws -> PartyName? {
    guard let text else { return nil }
    guard home.role == .server else {
        throw CommandFailure(
            .usage, "--for is for a server's home; this is \(home.name)'s, which exchanges with \(home.record.server)",
            hint: "leave it out")
    }
    return try partyName(text)
}
