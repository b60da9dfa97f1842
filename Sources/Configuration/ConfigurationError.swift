import Wire

/// Why a configuration was refused: which file, where known which line, and what would be right.
///
/// One line, lower case, no full stop: `consilium.yaml: line 3: unknown key "rouds", did you mean "rounds"`.
package struct ConfigurationError: Error, Equatable, CustomStringConvertible {
    /// The file as the user knows it.
    package let file: String
    /// Counted from 1; nil for what concerns the document or a value found later.
    package let line: Int?
    package let message: String

    package init(file: String, line: Int? = nil, _ message: String) {
        self.file = file
        self.line = line
        self.message = message.singleLine
    }

    package var description: String { file + ": " + (line.map { "line \($0): " } ?? "") + message }
}
