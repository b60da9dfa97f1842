/// One recipient's part of a header: a line of arguments, the first of which is its type, and a body (age v1, "Recipient
/// stanza").
struct AgeStanza: Equatable {
    static let marker = Array("-> ".utf8)
    /// Characters of a full line of a body.
    static let columns = 64

    /// One or more, each of one or more visible ASCII characters.
    let arguments: [[UInt8]]
    let body: [UInt8]

    func isOf(_ type: String) -> Bool { arguments.first?.elementsEqual(type.utf8) ?? false }

    /// A body of full lines only is followed by an empty one: the short line is what ends it.
    var encoded: [UInt8] {
        var bytes = AgeStanza.marker + arguments.joined(separator: [UInt8(ascii: " ")])
        bytes.append(UInt8(ascii: "\n"))
        var text = Base64.encodeUnpadded(body)[...]
        while true {
            let line = text.prefix(AgeStanza.columns)
            bytes += line
            bytes.append(UInt8(ascii: "\n"))
            if line.count < AgeStanza.columns { return bytes }
            text = text.dropFirst(AgeStanza.columns)
        }
    }

    /// The arguments of a line after its marker.
    /// - Returns: nil for an empty argument, or one with other than visible ASCII characters.
    static func arguments(of line: ArraySlice<UInt8>) -> [[UInt8]]? {
        let arguments = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        let areVisible = arguments.allSatisfy { !$0.isEmpty && $0.allSatisfy { (0x21...0x7e).contains($0) } }
        return areVisible ? arguments.map(Array.init) : nil
    }
}
