extension StringProtocol {
    /// The beginning of a text in at most so many UTF-8 bytes, whole scalars of them.
    ///
    /// What Swift counts as one character may have any number of scalars behind its first one, so that a number of
    /// characters bounds nothing.
    package func beginning(bytes limit: Int) -> String {
        var kept = String.UnicodeScalarView()
        var bytes = 0
        for scalar in unicodeScalars {
            bytes += UTF8.width(scalar)
            if bytes > limit { break }
            kept.append(scalar)
        }
        return String(kept)
    }

    /// As much of a foreign word as an error shows.
    package var excerpt: String { beginning(bytes: excerptBytes) }
}

private let excerptBytes = 64
