import ArgumentParser
import Mailbox

struct BundleInspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Shows what a bundle says, who signed it, and whether it is in order.",
        discussion: """
            An encrypted bundle (.tar.age) is opened with the keys of --home, or with --identity; nothing decrypted stays. \
            Without --home, whose key it is remains open: compare the fingerprint with the one that its owner reads to you. \
            Exit status 65 if the file is not a bundle or not in order.

            EXAMPLES:
              consilium bundle inspect update.tar
              consilium bundle inspect --home S update.tar.age --json
            """)

    @Argument(help: "File to look at.", completion: .file(extensions: ["tar", "age"]))
    var file: String

    @OptionGroup var home: HomeOption

    @OptionGroup var identity: IdentityOption

    @OptionGroup var output: OutputOptions

    func run() throws {
        let known = try home.openIfAny()
        let trust = try known.map(BundleTrust.load) ?? .nobody
        let bundle = try BundleExamination(try InputFile.file(file)) { try identity.load(known) }
        let verdict = bundle.judge(by: trust)
        if output.json {
            Console.print(json: bundle.json(verdict))
        } else {
            let text = BundleText(bundle: bundle, verdict: verdict, now: try Environment.now())
            Console.print(text.inspection)
        }
        if let failure = bundle.failure { throw failure }
    }
}
