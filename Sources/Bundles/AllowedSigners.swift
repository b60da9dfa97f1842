package import Wire

/// Whose key may sign what, in the format that `ssh-keygen -Y verify -f` reads (ALLOWED SIGNERS in ssh-keygen(1)).
///
/// OpenSSH skips lines that it cannot read, knows wildcards and certificate authorities, and takes times for local ones; a
/// typing error there can widen or void trust silently. Here:
/// 1. Every line is empty, a comment with `#`, or `NAME namespaces="...",valid-after="...",valid-before="..." ssh-ed25519 KEY`.
/// 2. Anything else is an error that names the line; no file is taken in part.
/// 3. NAME is one configured name; namespaces are required, known, unique and written out.
/// 4. Times are optional and in UTC, 14 digits and `Z`.
package struct AllowedSigners: Equatable, Sendable {
    package struct Entry: Hashable, Sendable {
        package var principal: PartyName
        /// Such as `update@consilium`.
        package var namespaces: [String]
        package var validAfter: Timestamp?
        package var validBefore: Timestamp?
        package var key: PublicKey

        package init(
            principal: PartyName, kinds: [BundleKind], validAfter: Timestamp? = nil, validBefore: Timestamp? = nil,
            key: PublicKey
        ) {
            self.principal = principal
            self.namespaces = kinds.map(\.namespace)
            self.validAfter = validAfter
            self.validBefore = validBefore
            self.key = key
        }

        package func allows(_ kind: BundleKind) -> Bool { namespaces.contains(kind.namespace) }

        /// Both ends belong to the time of validity, as in OpenSSH.
        package func isValid(at time: Timestamp) -> Bool {
            (validAfter.map { $0 <= time } ?? true) && (validBefore.map { time <= $0 } ?? true)
        }
    }

    package var entries: [Entry]

    package init(entries: [Entry] = []) { self.entries = entries }

    /// - Parameter file: as errors name it.
    package init(parsing text: String, file: String = "allowed_signers") throws(BundleError) {
        entries = []
        for (line, words) in try TrustLines.words(of: text, in: file) {
            do throws(BundleError) {
                entries.append(try Entry(words: words))
            } catch {
                throw BundleError(.malformedTrust, "\(file), line \(line): \(error.detail)")
            }
        }
    }

    /// What the file holds. Reading it gives the same entries.
    package var text: String {
        entries.map { entry in
            var options = ["namespaces=\"\(entry.namespaces.joined(separator: ","))\""]
            if let time = entry.validAfter { options.append("valid-after=\"\(time.allowedSignersText)\"") }
            if let time = entry.validBefore { options.append("valid-before=\"\(time.allowedSignersText)\"") }
            return "\(entry.principal) \(options.joined(separator: ",")) \(entry.key.openSSHLine)\n"
        }.joined()
    }

    /// Every entry with this key: none for a stranger, several for one that may act under several names or times.
    package func entries(for key: PublicKey) -> [Entry] { entries.filter { $0.key == key } }
    package func entries(of principal: PartyName) -> [Entry] { entries.filter { $0.principal == principal } }
}

/// Keys that must not be believed any more, one public key line each, as `ssh-keygen -Y verify -r` reads them. A missing file
/// is the caller's error to make: it does not mean that nothing is revoked.
///
/// A key that was revoked by another one's statement bears that one's fingerprint behind it, as `revoked-by SHA256:...`, where
/// OpenSSH has a comment. Any other comment is dropped.
package struct RevokedKeys: Equatable, Sendable {
    package struct Entry: Hashable, Sendable {
        package let key: PublicKey
        /// Fingerprint of the key that said so; nil where a person did.
        package let source: String?

        package init(_ key: PublicKey, source: String? = nil) {
            self.key = key
            self.source = source
        }
    }

    private static let sourceWord = "revoked-by"

    package var entries: [Entry]

    package init(keys: [PublicKey] = []) { entries = keys.map { Entry($0) } }

    /// - Parameter file: as errors name it.
    package init(parsing text: String, file: String = "revoked") throws(BundleError) {
        entries = []
        for (line, words) in try TrustLines.words(of: text, in: file) {
            do throws(BundleError) {
                let source = words.count == 4 && words[2] == Self.sourceWord ? words[3] : nil
                entries.append(Entry(try PublicKey(openSSHLine: words.joined(separator: " ")), source: source))
            } catch {
                throw BundleError(.malformedTrust, "\(file), line \(line): \(error.detail)")
            }
        }
    }

    /// What the file holds. Reading it gives the same entries.
    package var text: String {
        entries.map { entry in
            entry.key.openSSHLine + (entry.source.map { " \(Self.sourceWord) \($0)" } ?? "") + "\n"
        }.joined()
    }

    package var keys: [PublicKey] { entries.map(\.key) }

    package func contains(_ key: PublicKey) -> Bool { entries.contains { $0.key == key } }
}

/// The lines of a trust file: LF only, blank lines and comments left out, cut at single spaces.
private enum TrustLines {
    static func words(of text: String, in file: String) throws(BundleError) -> [(line: Int, words: [String])] {
        let printable = text.unicodeScalars.allSatisfy { (0x20..<0x7f).contains($0.value) || $0 == "\n" }
        guard printable else {
            throw BundleError(.malformedTrust, "\(file): must be ASCII text without tabs and with LF line ends")
        }
        var result: [(Int, [String])] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.isEmpty || line.hasPrefix("#") { continue }
            let words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
            guard !words.contains("") else {
                throw BundleError(.malformedTrust, "\(file), line \(index + 1): words must be apart by one space")
            }
            result.append((index + 1, words))
        }
        return result
    }
}

extension AllowedSigners.Entry {
    /// From `NAME OPTIONS TYPE KEY [COMMENT...]`; the comment is dropped.
    fileprivate init(words: [String]) throws(BundleError) {
        func malformed(_ what: String) -> BundleError { BundleError(.malformedTrust, what) }
        guard words.count >= 4 else { throw malformed("must be 'NAME namespaces=\"...\" ssh-ed25519 KEY'") }
        guard let principal = PartyName(words[0]) else {
            throw malformed("'\(words[0].excerpt)' is not a configured name; wildcards and lists are not taken")
        }
        self.init(principal: principal, kinds: [], key: try PublicKey(openSSHLine: words[2...].joined(separator: " ")))
        var rest = words[1][...]
        var seen: Set<Substring> = []
        while !rest.isEmpty {
            guard let equals = rest.firstIndex(of: "="), let value = rest[equals...].quotedValue else {
                throw malformed("options must be NAME=\"VALUE\" joined by commas; cert-authority is not taken")
            }
            let name = rest[..<equals]
            guard seen.insert(name).inserted else { throw malformed("option '\(name.excerpt)' occurs twice") }
            try take(option: name, value: value)
            rest = rest[equals...].dropFirst(value.utf8.count + 3)
            guard rest.isEmpty || (rest.first == "," && rest.count > 1) else {
                throw malformed("options must be joined by commas")
            }
            rest = rest.dropFirst()
        }
        guard !namespaces.isEmpty else { throw malformed("namespaces must be given") }
    }

    private mutating func take(option name: Substring, value: Substring) throws(BundleError) {
        switch name {
        case "namespaces":
            namespaces = value.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            let known = namespaces.allSatisfy { BundleKind(namespace: $0) != nil }
            guard known, Set(namespaces).count == namespaces.count else {
                throw BundleError(.malformedTrust, "namespaces must be unique and of the form KIND@consilium")
            }
        case "valid-after", "valid-before":
            guard let time = Timestamp(allowedSignersText: value) else {
                throw BundleError(.malformedTrust, "\(name) must be a UTC time as 20260301000000Z")
            }
            if name == "valid-after" { validAfter = time } else { validBefore = time }
        default: throw BundleError(.malformedTrust, "option '\(name.excerpt)' is not known")
        }
    }
}

extension Substring {
    /// What stands between the quotes of `="..."` at the beginning.
    fileprivate var quotedValue: Substring? {
        guard hasPrefix("=\"") else { return nil }
        let value = dropFirst(2)
        return value.firstIndex(of: "\"").map { value[..<$0] }
    }
}

extension Timestamp {
    /// `20260301040506Z`
    fileprivate var allowedSignersText: String { rfc3339.filter(\.isNumber) + "Z" }

    fileprivate init?(allowedSignersText text: Substring) {
        let digits = Array(text)
        guard digits.count == 15, digits[14] == "Z" else { return nil }
        func part(_ range: Range<Int>) -> String { String(digits[range]) }
        let date = "\(part(0..<4))-\(part(4..<6))-\(part(6..<8))"
        self.init(rfc3339: "\(date)T\(part(8..<10)):\(part(10..<12)):\(part(12..<14))Z")
    }
}
