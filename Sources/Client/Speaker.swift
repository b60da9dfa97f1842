/// Whose word something is that a hospital has noted of a session or a request.
///
/// A word of the server's stays as it is once the key that signed it is revoked: most of what it said is true. But it binds
/// nobody any more, since a thief may have said it, and so the server's next word about the same thing counts, whatever it is.
package enum Speaker: Equatable, Sendable {
    /// This hospital itself, or nobody yet.
    case here
    /// The server, by the key with this fingerprint.
    case server(String)
    /// The server, by a key that is revoked by now.
    case revoked
    /// Noted by a version of this program that did not note whose word it was. It binds: of what the server's key of today
    /// may have said, nobody else's late bundle is to take the place.
    case unknown

    package var isRevoked: Bool { self == .revoked }

    /// In the file: nothing stands for ``unknown``.
    var text: String? {
        switch self {
        case .here: "here"
        case .server(let fingerprint): fingerprint
        case .revoked: "revoked"
        case .unknown: nil
        }
    }

    init(text: String?) {
        self =
            switch text {
            case nil: .unknown
            case "here": .here
            case "revoked": .revoked
            case .some(let fingerprint): .server(fingerprint)
            }
    }

    mutating func forget(_ revoked: Set<String>) {
        if case .server(let fingerprint) = self, revoked.contains(fingerprint) { self = .revoked }
    }
}
