/// Finds anchors, aliases and tags before any YAML library sees the text, since expanding them is already the harm.
///
/// The scan knows quotes and comments and nothing else of YAML, and errs on the side of refusal: a line of a block scalar
/// that begins with `*`, `&` or `!` is refused too, and has to be quoted.
struct YAMLScanner {
    let text: [UInt8]
    let file: String

    func refuseReferences() throws(ConfigurationError) {
        var line = 1
        var quote: UInt8?
        var isComment = false
        // Inside a plain scalar quotes and the three marks are letters like others.
        var isPlain = false
        // A comment begins with a # after white space only.
        var afterSpace = true
        var index = 0
        while index < text.count {
            let byte = text[index]
            defer { index += 1 }
            let isSpace = byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
            if byte == UInt8(ascii: "\n") {
                line += 1
                (isComment, isPlain, afterSpace) = (false, false, true)
                continue
            }
            defer { afterSpace = isSpace }
            if isComment { continue }
            if let open = quote {
                if open == UInt8(ascii: "\""), byte == UInt8(ascii: "\\") {
                    index += 1
                } else if byte == open {
                    quote = nil
                }
                continue
            }
            switch byte {
            case _ where isSpace, UInt8(ascii: "-") where !isPlain, UInt8(ascii: "?") where !isPlain:
                break
            case UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: ","):
                isPlain = false
            case UInt8(ascii: ":"):
                // Ends a key before white space; after a quoted key also without.
                if index + 1 < text.count, text[index + 1] == UInt8(ascii: " ") { isPlain = false }
            case UInt8(ascii: "#") where afterSpace:
                isComment = true
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                if !isPlain { quote = byte }
            case UInt8(ascii: "&"), UInt8(ascii: "*"), UInt8(ascii: "!"):
                guard isPlain else {
                    throw ConfigurationError(
                        file: file, line: line,
                        "anchors, aliases and tags (&, *, !) are not accepted; put the value in quotes")
                }
            default:
                isPlain = true
            }
        }
    }
}
