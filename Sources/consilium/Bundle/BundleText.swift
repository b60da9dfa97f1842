import Bundles
import Reports
import SystemPackage
import Wire

/// What `bundle inspect` and `bundle verify` print.
struct BundleText {
    let bundle: BundleExamination
    let verdict: BundleTrust.Verdict
    let now: Timestamp

    var inspection: String {
        var blocks = [FactList(claims + checks).text]
        if let files = bundle.manifest?.files, !files.isEmpty { blocks.append(table(of: files)) }
        return blocks.joined(separator: "\n\n")
    }

    /// One line for what `verify` found good.
    var verification: String {
        let what = bundle.manifest.map { "\($0.kind.rawValue) from \($0.sender)" } ?? "bundle"
        let signer = bundle.signer?.fingerprint ?? "unknown"
        let line = "\(bundle.path.string.printable): \(what), signature and payload are good"
        return switch verdict {
        case .unchecked: line + "; signed by \(signer), not verified against any trust"
        case .trusted(let name): line + "; signed with \(name)'s key \(signer)"
        case .refused: line + "; signed by \(signer)"
        }
    }

    private var claims: [(String, String)] {
        guard let manifest = bundle.manifest else { return [("file", bundle.path.string.printable)] }
        let none = "none"
        var facts = [
            ("kind", manifest.kind.rawValue), ("id", bundle.id?.hex ?? none), ("from", manifest.sender.text),
            ("to", manifest.recipients.isEmpty ? "anybody" : manifest.recipients.map(\.text).joined(separator: ", ")),
            ("federation", manifest.federation.hex), ("session", manifest.session.isNone ? none : manifest.session.hex),
            ("round", "\(manifest.round)"), ("number", "\(manifest.seq)"), ("made", manifest.created.rfc3339),
            ("expires", manifest.expires.rfc3339 + (manifest.expires < now ? ", which is past" : "")),
        ]
        for (name, digest) in [("request", manifest.request), ("base", manifest.base), ("previous", manifest.prev)] {
            if let digest { facts.append((name, digest.hex)) }
        }
        for (index, ack) in manifest.acks.enumerated() {
            facts.append((index == 0 ? "received" : "", ack.hex))
        }
        return facts
    }

    private var checks: [(String, String)] {
        var facts = [("size", Numbers.bytes(bundle.size) + (bundle.isEncrypted ? ", encrypted with age" : ""))]
        if let signer = bundle.signer {
            facts.append(("key", signer.fingerprint))
            facts.append(("signature", bundle.isSignatureGood ? "good" : "NOT GOOD: nothing above is proved"))
        }
        if bundle.isSignatureGood, bundle.manifest != nil {
            facts.append(("payload", bundle.isPayloadGood ? "good" : "NOT GOOD"))
            facts.append(("trust", trust))
        }
        if let fault = bundle.fault { facts.append(("fault", fault.detail.printable)) }
        return facts
    }

    private var trust: String {
        switch verdict {
        case .unchecked: "not verified against any trust: --home names one"
        case .trusted(let name): "the key is \(name)'s"
        case .refused(let reason): "NOT TRUSTED: \(reason)"
        }
    }

    private func table(of files: [PayloadFile]) -> String {
        var table = TextTable([("payload", .left), ("bytes", .right), ("sha256", .left)])
        for file in files { table.add([file.name, "\(file.size)", file.sha256.hex]) }
        return table.text
    }
}
