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
    package var payloadObjection: PayloadObjection? {
        guard let expected = kind.payloadFiles else { return nil }
        let names = Set(files.map(\.name))
        if let missing = expected.always.subtracting(names).sorted().first {
            return PayloadObjection("\(missing) is missing, which a bundle of kind \(kind.rawValue) holds")
        }
        if let strange = names.subtracting(expected.always).subtracting(expected.perhaps).sorted().first {
            let rest = "which a bundle of kind \(kind.rawValue) has no use for"
            return PayloadObjection("it holds \(strange), \(rest)", record: "it holds a file \(rest)")
        }
        return nil
    }
}

/// Why a bundle is refused for the names of its files.
package struct PayloadObjection: Error, Equatable, CustomStringConvertible {
    /// For people, who have to find the file.
    package let description: String
    /// For the audit, which is kept for ever and shown to others: a file's name may say whose pictures are in it.
    package let record: String

    init(_ description: String, record: String? = nil) {
        self.description = description
        self.record = record ?? description
    }
}
