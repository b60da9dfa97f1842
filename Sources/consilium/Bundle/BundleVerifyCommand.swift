import ArgumentParser
import Bundles
import Mailbox

struct BundleVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Checks a bundle's form, signature, payload and, with --home or --signers, its key.",
        discussion: """
            An encrypted bundle (.tar.age) is opened with the keys of --home, or with --identity; nothing decrypted stays. \
            Exit status 0 if all of it is good, 65 if the bundle is not in order, 77 if it is but its key is not trusted with \
            it. 'ssh-keygen -Y verify' and 'sha256sum' can check the same without consilium.

            EXAMPLES:
              consilium bundle verify --home S update.tar
              consilium bundle verify --signers S/trust/allowed_signers update.tar
            """)

    @Argument(help: "File to check.", completion: .file(extensions: ["tar", "age"]))
    var file: String

    @OptionGroup var home: HomeOption

    @OptionGroup var identity: IdentityOption

    @Option(
        help:
            "Allowed-signers file to ask instead, as ssh-keygen reads it; a file 'revoked' beside it, if there is one, counts too.",
        completion: .file())
    var signers: String?

    @OptionGroup var output: OutputOptions

    func validate() throws {
        if home.home != nil, signers != nil {
            throw ValidationError("--home and --signers are two trusts: leave one out")
        }
    }

    func run() throws {
        let trust = try loadTrust()
        let bundle = try BundleExamination(try InputFile.file(file)) { try identity.load(try home.openIfAny()) }
        let verdict = bundle.judge(by: trust)
        if output.json { Console.print(json: bundle.json(verdict)) }
        if let failure = bundle.failure { throw failure }
        if case .refused(let reason) = verdict {
            throw CommandFailure(
                .refused, "\(file.printable): \(reason) (\(bundle.signer?.fingerprint ?? "no key"))",
                hint: "compare the fingerprint with the one that its owner reads to you")
        }
        if !output.json, !output.quiet {
            let text = BundleText(bundle: bundle, verdict: verdict, now: try Environment.now())
            Console.print(output.verbose ? text.inspection : text.verification)
        }
    }

    private func loadTrust() throws -> BundleTrust {
        if let signers { return try .load(signers: try InputFile.file(signers)) }
        return try home.openIfAny().map(BundleTrust.load) ?? .nobody
    }
}

extension BundleExamination {
    /// A key means nothing where its signature is not good.
    func judge(by trust: BundleTrust) -> BundleTrust.Verdict {
        guard isSignatureGood, let manifest, let signer else { return .unchecked }
        return trust.judge(manifest, signer: signer)
    }
}
