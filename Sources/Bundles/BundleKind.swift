/// What a bundle is. The raw value stands in the manifest, and before `@consilium` in the signature's namespace.
package enum BundleKind: String, CaseIterable, Sendable {
    case invite, enrol, request, decision, global, update, receipt, withdraw, abort, trust, recovery

    /// The SSHSIG namespace. It keeps a signature from being taken for one of another kind.
    package var namespace: String { "\(rawValue)@consilium" }

    package init?(namespace: String) {
        guard let kind = BundleKind.allCases.first(where: { $0.namespace == namespace }) else { return nil }
        self = kind
    }

    /// What a client may sign.
    package static let ofClients: [BundleKind] = [.enrol, .request, .update, .receipt, .withdraw, .recovery]
    /// What the server may sign.
    package static let ofServer: [BundleKind] = [.invite, .decision, .global, .receipt, .abort, .trust, .recovery]

    /// Whether bundles of the kind belong to a session; nil where both occur.
    var hasSession: Bool? {
        switch self {
        case .invite, .enrol, .request, .trust: false
        case .global, .update, .abort, .recovery: true
        case .decision, .receipt, .withdraw: nil
        }
    }
}
