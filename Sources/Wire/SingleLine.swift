extension String {
    /// With a `?` for each character that could break a line, steer a terminal or turn the direction of writing: names and
    /// words from foreign hands stand in errors, which go to logs, mails and screens.
    package var singleLine: String {
        guard unicodeScalars.contains(where: \.isUnprintable) else { return self }
        return String(String.UnicodeScalarView(unicodeScalars.map { $0.isUnprintable ? "?" : $0 }))
    }
}

extension Unicode.Scalar {
    fileprivate var isUnprintable: Bool {
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        // Embeddings, overrides and isolates of writing direction (Unicode Standard Annex 9).
        default: (0x202a...0x202e).contains(value) || (0x2066...0x2069).contains(value)
        }
    }
}
