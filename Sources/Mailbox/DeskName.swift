package import Wire

/// What a bundle on a desk is called, for people: `REQ-1-hospital-a.tar`. Nothing is concluded from it but its number.
package struct DeskName: Hashable, Sendable {
    /// Upper-case letters: `REQ`, `ENR`, `PLAN`, `UPD`.
    package let prefix: String
    package let number: Int
    package let party: PartyName

    package init(prefix: String, number: Int, party: PartyName) {
        self.prefix = prefix
        self.number = number
        self.party = party
    }

    /// With or without `.tar`.
    package init?(_ text: String) {
        let stem = text.hasSuffix(".tar") ? text.dropLast(4) : text[...]
        let parts = stem.split(separator: "-", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, (1...8).contains(parts[0].utf8.count),
            parts[0].utf8.allSatisfy({ (0x41...0x5a).contains($0) }), (1...9).contains(parts[1].utf8.count),
            parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(parts[1]), number > 0,
            let party = PartyName(String(parts[2]))
        else { return nil }
        self.init(prefix: String(parts[0]), number: number, party: party)
    }

    /// `REQ-1`: what a person types.
    package var short: String { "\(prefix)-\(number)" }
    /// The file's name.
    package var text: String { "\(short)-\(party).tar" }
    /// The same for further bundles of this number: `UPD-1-ministry-2.tar`. Without an end.
    package var variants: some Sequence<String> {
        sequence(first: 1) { $0 + 1 }.lazy.map { $0 == 1 ? text : "\(short)-\(party)-\($0).tar" }
    }
}

/// Quoting for lines that a person pastes into a shell.
package enum ShellQuoting {
    /// The text as one word of a POSIX shell: bare where every byte is harmless, else in single quotes.
    package static func quote(_ text: String) -> String {
        let isHarmless = text.utf8.allSatisfy { byte in
            (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte) || (0x30...0x39).contains(byte)
                || Array("/._-+:,@%".utf8).contains(byte)
        }
        // A leading hyphen would be read as an option, quoted or not.
        let word = text.hasPrefix("-") ? "./" + text : text
        return isHarmless && !text.isEmpty ? word : "'" + word.replacing("'", with: "'\\''") + "'"
    }
}
