import ArgumentParser
import Bundles
import Files
import SystemPackage
import Wire

struct KeyGenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Makes a signing key, as 'ssh-keygen -t ed25519' does.",
        discussion: """
            Writes the private key to OUTFILE, which only its owner may read, and the public key to OUTFILE.pub. No file is \
            overwritten. The key has no passphrase, since nobody is there at night to type it.

            EXAMPLES:
              consilium key generate A/identity/id_ed25519
            """)

    @Argument(help: "File to make.", completion: .file())
    var outfile: String

    @Option(help: "Comment in the key files.")
    var comment = "consilium"

    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard comment == comment.printable, comment.utf8.count <= 256 else {
            throw ValidationError("the comment must be one line of at most 256 printable bytes")
        }
    }

    func run() throws {
        let path = Environment.path(outfile)
        let publicPath = FilePath(path.string + ".pub")
        let files = LocalFileSystem()
        for path in [path, publicPath] where try files.exists(path) {
            throw CommandFailure(
                .cannotCreate, "\(path) is there already", hint: "choose another name, or move the old key away")
        }
        let key = SigningKey.generate()
        // The private key first: the other can be made from it, should this be stopped in between.
        try OutputFile.write(key.openSSHPrivateKey(comment: comment), to: path, permissions: 0o600)
        try OutputFile.write(Array("\(key.publicKey.openSSHLine) \(comment)\n".utf8), to: publicPath)
        if output.json {
            Console.print(json: [
                "schema_version": 1, "file": .path(path), "fingerprint": .string(key.publicKey.fingerprint),
                "public_key": .string(key.publicKey.openSSHLine),
            ])
        } else if !output.quiet {
            Console.print("\(path)\n\(key.publicKey.fingerprint)")
        }
    }
}
