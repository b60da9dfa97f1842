/// The header of an age file (age v1, "Header"): a version line, one stanza or more, a MAC.
///
/// 1. One encoding only: LF, no white space around anything, canonical Base64, body lines of 64 characters.
/// 2. At most ``AgeLimits/headerBytes`` and ``AgeLimits/stanzas``; the specification sets no limits.
/// 3. An scrypt stanza stands alone.
/// 4. Types of stanza that are not known here are kept and mean nothing ("grease").
struct AgeHeader {
    static let versionLine = Array("age-encryption.org/v1\n".utf8)
    private static let macMarker = Array("---".utf8)
    private static let macSize = 32
    private static let passphraseType = "scrypt"
    private static let newline = UInt8(ascii: "\n")

    let stanzas: [AgeStanza]
    let mac: [UInt8]
    /// What the MAC is over: everything up to and including `---`.
    let authenticated: [UInt8]
    /// Bytes, with the last line feed.
    let size: Int

    /// The header of a new file, under a file key of its own.
    static func encoded(_ stanzas: [AgeStanza], fileKey: AgeFileKey) -> [UInt8] {
        let head = versionLine + stanzas.flatMap(\.encoded) + macMarker
        return head + [UInt8(ascii: " ")] + Base64.encodeUnpadded(fileKey.headerMAC(of: head)) + [newline]
    }

    /// - Parameter bytes: the file's beginning: ``AgeLimits/headerBytes`` and one more, or all that there is.
    init(parsing bytes: [UInt8]) throws(BundleError) {
        try AgeHeader.requireBeginning(bytes)
        var lines = Lines(bytes, from: AgeHeader.versionLine.count)
        var stanzas: [AgeStanza] = []
        while true {
            let start = lines.position
            let line = try lines.next()
            if line.starts(with: AgeHeader.macMarker) {
                mac = try AgeHeader.mac(of: line)
                authenticated = Array(bytes[..<(start + AgeHeader.macMarker.count)])
                break
            }
            guard line.starts(with: AgeStanza.marker),
                let arguments = AgeStanza.arguments(of: line.dropFirst(AgeStanza.marker.count))
            else { throw AgeHeader.malformed("has a line that begins no stanza") }
            guard stanzas.count < AgeLimits.stanzas else {
                throw BundleError(.tooLarge, "the encrypted file has more than \(AgeLimits.stanzas) recipients")
            }
            stanzas.append(AgeStanza(arguments: arguments, body: try AgeHeader.body(&lines)))
        }
        guard !stanzas.isEmpty else { throw AgeHeader.malformed("names no recipient") }
        guard stanzas.count == 1 || !stanzas.contains(where: { $0.isOf(AgeHeader.passphraseType) }) else {
            throw AgeHeader.malformed("has a passphrase beside other recipients")
        }
        self.stanzas = stanzas
        size = lines.position
    }

    private static func body(_ lines: inout Lines) throws(BundleError) -> [UInt8] {
        var text: [UInt8] = []
        while true {
            let line = try lines.next()
            guard line.count <= AgeStanza.columns else { throw malformed("has a line of more than 64 characters") }
            text += line
            if line.count < AgeStanza.columns { break }
        }
        guard let body = Base64.decodeUnpadded(text) else { throw malformed("has a body that is not canonical Base64") }
        return body
    }

    private static func mac(of line: ArraySlice<UInt8>) throws(BundleError) -> [UInt8] {
        let text = line.dropFirst(macMarker.count)
        guard text.first == UInt8(ascii: " "), let mac = Base64.decodeUnpadded(Array(text.dropFirst())),
            mac.count == macSize
        else { throw malformed("has a malformed MAC") }
        return mac
    }

    /// Tells apart what is no age file at all, so that the message can say what it is.
    private static func requireBeginning(_ bytes: [UInt8]) throws(BundleError) {
        if bytes.starts(with: versionLine) { return }
        if versionLine.starts(with: bytes) { throw Lines.incomplete }
        let blanks = Array(" \t\r\n".utf8)
        guard !bytes.drop(while: blanks.contains).starts(with: Array("-----BEGIN AGE ".utf8)) else {
            let hint = "encrypt again without age's --armor"
            throw BundleError(.unsupportedEncryption, "the encrypted file is armoured, which is not supported; \(hint)")
        }
        guard bytes.starts(with: Array("age-encryption.org/".utf8)) else {
            throw BundleError(.malformedEncryption, "the file is not encrypted with age")
        }
        throw malformed("does not begin with the line 'age-encryption.org/v1'")
    }

    /// Why none of our keys opens the file.
    var mismatch: BundleError {
        func unsupported(_ what: String) -> BundleError {
            BundleError(.unsupportedEncryption, "the encrypted file is \(what)")
        }
        func has(_ type: String) -> Bool { stanzas.contains { $0.isOf(type) } }
        let hint = "which is not supported; encrypt to an age1... recipient"
        if has(AgeHeader.passphraseType) { return unsupported("encrypted with a passphrase, \(hint)") }
        if has("mlkem768x25519") { return unsupported("encrypted to a hybrid post-quantum key, \(hint)") }
        if has(AgeX25519.type) {
            return BundleError(.notForThisIdentity, "the encrypted file is not encrypted to this identity")
        }
        if has("ssh-ed25519") || has("ssh-rsa") { return unsupported("encrypted to an SSH key, \(hint)") }
        return BundleError(.notForThisIdentity, "the encrypted file has no X25519 recipient, so none that is us")
    }

    static func malformed(_ what: String) -> BundleError {
        BundleError(.malformedEncryption, "the encrypted file's header \(what)")
    }

    /// Reads line by line, and knows why there is none where the bytes end.
    private struct Lines {
        static let incomplete = BundleError(
            .incomplete, "the encrypted file ends within its header; its copy may still be under way")

        private let bytes: [UInt8]
        private(set) var position: Int

        init(_ bytes: [UInt8], from position: Int) {
            self.bytes = bytes
            self.position = position
        }

        /// The next line without its line feed.
        mutating func next() throws(BundleError) -> ArraySlice<UInt8> {
            guard let end = bytes[position...].firstIndex(of: newline), end < AgeLimits.headerBytes else {
                guard bytes.count <= AgeLimits.headerBytes else {
                    throw BundleError(
                        .tooLarge, "the encrypted file's header has more than \(AgeLimits.headerBytes) bytes")
                }
                throw Lines.incomplete
            }
            defer { position = end + 1 }
            return bytes[position..<end]
        }
    }
}
