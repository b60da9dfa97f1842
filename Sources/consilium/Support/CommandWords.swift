import ArgumentParser
import Wire

/// The words that name a command, looked at before the argument parser does: it passes over one that it does not know, and
/// blames an option of the command that was meant.
enum CommandWords {
    /// A `String` of other bytes has replaced them, and names another file than the one that was meant.
    ///
    /// - Throws: ``CommandFailure`` for the first argument that is not UTF-8.
    static func checkEncoding() throws(CommandFailure) {
        for case let argument? in UnsafeBufferPointer(
            start: CommandLine.unsafeArgv, count: Int(CommandLine.argc))
        where String(validatingCString: argument) == nil {
            throw CommandFailure(
                .usage, "'\(String(cString: argument).printable)' is not UTF-8",
                hint: "give the file or folder another name, or name the folder above it")
        }
    }

    /// - Parameter arguments: without the program's own name.
    /// - Throws: ``CommandFailure`` for the first word that names no command where only a command can stand.
    static func check(_ arguments: [String]) throws(CommandFailure) {
        var words = arguments.first == "help" ? arguments.dropFirst() : arguments[...]
        var command: any ParsableCommand.Type = Consilium.self
        var path = "consilium"
        while let word = words.popFirst(), !word.hasPrefix("-") {
            let commands = command.configuration.subcommands
            if commands.isEmpty || (command == Consilium.self && word == "help") { return }
            guard let named = commands.first(where: { $0._commandName == word }) else {
                let near = didYouMean(word, among: commands.map { $0._commandName })
                throw CommandFailure(
                    .usage, "unknown command '\(word.printable)'" + (near.map { "; did you mean '\($0)'?" } ?? ""),
                    hint: "'\(path) --help' lists the commands")
            }
            command = named
            path += " \(word)"
        }
    }
}
