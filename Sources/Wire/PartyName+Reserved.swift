extension PartyName {
    /// Names that nobody is given. In an exchange they are the folders that all share, and who were called so would take one
    /// for his own. What is signed may still say them: it is refused where somebody would be enrolled.
    private static let reserved: Set<String> = ["inbox", "outbox"]

    /// Why nobody can be called so; nil where somebody can.
    package var objection: String? {
        Self.reserved.contains(text) ? "'\(text)' is a folder of an exchange, and nobody's name" : nil
    }
}
