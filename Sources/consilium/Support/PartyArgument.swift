import Wire

/// A client's name from the command line.
func partyName(_ text: String) throws -> PartyName {
    guard let name = PartyName(text) else { throw CommandFailure(.usage, "'\(text)' is not the name of a party") }
    return name
}
