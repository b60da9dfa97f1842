extension BundleKind {
    /// The files that a bundle of this kind holds always, and those that it may hold besides (PROTOCOL, Kinds). Nil for a kind
    /// that nobody takes yet.
    package var payloadFiles: (always: Set<String>, perhaps: Set<String>)? {
        switch self {
        case .invite: (["invite.json"], [])
        case .enrol: (["enrol.json"], ["enrol.json.sig"])
        case .request: (["request.json"], [])
        case .decision: (["decision.json"], [])
        case .global: (["plan.json", "round.json", "model.safetensors"], ["base.safetensors"])
        case .update: (["update.safetensors", "metrics.json"], [])
        case .receipt: ([], [])
        case .withdraw, .abort: (["reason.json"], [])
        case .trust: (["trust.json"], [])
        case .recovery: nil
        }
    }
}

extension Manifest {
    /// What is wrong with the names of the files; nil where they are those of the kind. A file that nobody asked for is no
    /// ornament: it is kept with the bundle, and may carry out what was never to leave a hospital.
    package var payloadObjection: String? {
        guard let expected = kind.payloadFiles else { return nil }
        let names = Set(files.map(\.name))
        if let missing = expected.always.subtracting(names).sorted().first {
            return "\(missing) is missing, which a bundle of kind \(kind.rawValue) holds"
        }
        if let strange = names.subtracting(expected.always).subtracting(expected.perhaps).sorted().first {
            return "it holds \(strange), which a bundle of kind \(kind.rawValue) has no use for"
        }
        return nil
    }
}
