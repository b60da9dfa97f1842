import Bundles
import Testing
import Wire

@Suite("Manifest")
struct ManifestTests {
    private func reason(_ text: String) -> BundleError.Reason? {
        do { _ = try Manifest(parsing: Array(text.utf8)) } catch { return error.reason }
        return nil
    }

    private var good: String { String(decoding: Sample.manifest().encoded, as: UTF8.self) }

    @Test("has exactly this encoding")
    func encoding() throws {
        var manifest = Sample.manifest()
        manifest.acks = []
        manifest.files = [PayloadFile(name: "a.txt", size: 7, sha256: Sample.digest(1))]
        let ones = String(repeating: "01", count: 16)
        let text =
            "{\"acks\":[],\"base\":\"\(String(repeating: "04", count: 32))\",\"created\":1772337906,\"expires\":1787889906,"
            + "\"federation\":\"\(ones)\",\"files\":[{\"name\":\"a.txt\",\"sha256\":\"\(Sample.digest(1) as Digest)\",\"size\":7}],"
            + "\"format\":\"consilium/1\",\"kind\":\"update\",\"prev\":\"\",\"recipients\":[\"ministry\"],"
            + "\"request\":\"\(String(repeating: "03", count: 32))\",\"round\":3,\"sender\":\"hospital-a\",\"seq\":7,"
            + "\"session\":\"\(String(repeating: "02", count: 16))\"}\n"
        #expect(String(decoding: manifest.encoded, as: UTF8.self) == text)
        #expect(try Manifest(parsing: manifest.encoded) == manifest)
        #expect(manifest.id == SHA256Hash.digest(of: Array(text.utf8)))
    }

    @Test("every kind reads back with its own namespace")
    func kinds() throws {
        for kind in BundleKind.allCases {
            let inSession: [BundleKind] = [.global, .update, .abort, .recovery, .decision, .receipt, .withdraw]
            let manifest = Sample.manifest(
                kind: kind, recipients: kind == .invite ? [] : ["ministry"], session: inSession.contains(kind))
            #expect(try Manifest(parsing: manifest.encoded) == manifest)
            #expect(BundleKind(namespace: kind.namespace) == kind)
        }
        #expect(BundleKind(namespace: "update@consilium ") == nil)
        #expect(BundleKind(namespace: "update") == nil)
    }

    /// Each takes the good text and replaces one part.
    @Test(
        "what breaks a rule is refused",
        arguments: [
            ("\"seq\":7", "\"seq\":0"), ("\"seq\":7", "\"seq\":-1"), ("\"seq\":7", "\"seq\":9007199254740993"),
            ("\"seq\":7", "\"seq\":9223372036854775808"),
            ("\"seq\":7", "\"seq\":7.0"), ("\"seq\":7", "\"seq\":\"7\""), ("\"seq\":7", "\"seq\":7,\"seq\":7"),
            ("\"seq\":7", "\"seq\": 7"),
            ("\"seq\":7", "\"seq\":null"), ("\"seq\":7,", ""), ("\"round\":3", "\"round\":-1"),
            ("\"round\":3", "\"round\":1000001"),
            ("\"round\":3", "\"round\":true"), ("\"prev\":\"\",", ""), ("\"prev\":\"\"", "\"prev\":null"),
            ("\"prev\":\"\"", "\"prev\":\"0\""),
            ("\"recipients\":[\"ministry\"]", "\"recipients\":[]"),
            ("\"recipients\":[\"ministry\"]", "\"recipients\":[\"b\",\"a\"]"),
            ("\"recipients\":[\"ministry\"]", "\"recipients\":[\"a\",\"a\"]"),
            ("\"recipients\":[\"ministry\"]", "\"recipients\":[\"*\"]"),
            ("\"recipients\":[\"ministry\"]", "\"recipients\":\"ministry\""),
            ("\"sender\":\"hospital-a\"", "\"sender\":\"Hospital-A\""),
            ("\"sender\":\"hospital-a\"", "\"sender\":\"-rf\""), ("\"sender\":\"hospital-a\"", "\"sender\":\"\""),
            ("\"expires\":1787889906", "\"expires\":1772337906"),
            ("\"expires\":1787889906", "\"expires\":253402300800"),
            ("\"created\":1772337906", "\"created\":-1"), ("\"kind\":\"update\"", "\"kind\":\"request\""),
            ("\"kind\":\"update\"", "\"kind\":\"invite\""),
            ("\"session\":\"02020202020202020202020202020202\"", "\"session\":\"00000000000000000000000000000000\""),
            ("\"session\":\"02020202020202020202020202020202\"", "\"session\":\"0202\""),
            ("\"federation\":\"01", "\"federation\":\"0A"), ("\"files\":[]", "\"files\":[{\"name\":\"a\",\"size\":1}]"),
            ("\"files\":[]", "\"files\":{}"),
            ("\"files\":[],", ""), ("\"files\":[]", "\"files\":[],\"extra\":1"), ("}\n", "}"), ("}\n", "}\n\n"),
            ("{", "\u{feff}{"), ("{", " {"),
            // What other JSON parsers let pass (FAULTS, trap 1).
            ("}\n", ",}\n"), ("\"seq\":7", "\"seq\":07"), ("\"seq\":7", "\"seq\":+7"), ("\"seq\":7", "\"seq\":1e2"),
            ("\"prev\":\"\"", "\"prev\":\"\\ud800\""), ("\"prev\":\"\"", "\"prev\":\"\\u0000\""),
            ("\"sender\":\"hospital-a\"", "\"sender\":\"hospital\\u002da\""),
            ("\"files\":[]", "\"files\":\(String(repeating: "[", count: 40))\(String(repeating: "]", count: 40))"),
            ("\"recipients\":[\"ministry\"]", "\"recipients\":[\"ministry\",]"), ("}\n", "}\r\n"), ("}\n", "}//\n"),
        ])
    func rules(part: String, replacement: String) {
        #expect(good.contains(part))
        #expect(reason(good) == nil)
        #expect(reason(good.replacing(part, with: replacement, maxReplacements: 1)) == .malformedManifest)
    }

    @Test(
        "an unknown format or kind has its own reason",
        arguments: [
            ("consilium/1", "consilium/2", BundleError.Reason.unknownFormat),
            ("consilium/1", "consilium/10", .unknownFormat),
            ("consilium/1", "", .unknownFormat), ("\"update\"", "\"updates\"", .unknownKind),
            ("\"update\"", "\"\"", .unknownKind),
        ])
    func unknown(part: String, replacement: String, expected: BundleError.Reason) {
        #expect(reason(good.replacing(part, with: replacement)) == expected)
    }

    @Test(
        "file names, sizes and counts are limited",
        arguments: [
            [("..", 1)], [(".", 1)], [("", 1)], [("a/b", 1)], [("a\\b", 1)], [("A", 1)], [("é", 1)], [("a\n", 1)],
            [("-a", 1)], [("a", -1)],
            [("a", 0o100_0000_0000_0000)], [("a", 1), ("a", 1)], [("manifest.json", 1)], [("manifest.json.sig", 1)],
            [(String(repeating: "a", count: 65), 1)], (0..<65).map { ("f\($0)", 1) },
        ] as [[(String, Int64)]])
    func fileRules(list: [(String, Int64)]) {
        var manifest = Sample.manifest()
        manifest.files = list.map { PayloadFile(name: $0.0, size: $0.1, sha256: Sample.digest(1)) }
        #expect(reason(String(decoding: manifest.encoded, as: UTF8.self)) == .malformedManifest)
    }

    @Test("256 KiB is the end, and acks are unique and limited")
    func sizes() {
        var manifest = Sample.manifest()
        manifest.acks = [Sample.digest(1), Sample.digest(1)]
        #expect(reason(String(decoding: manifest.encoded, as: UTF8.self)) == .malformedManifest)
        manifest.acks = (0..<3000).map { SHA256Hash.digest(of: [UInt8($0 & 255), UInt8($0 >> 8)]) }
        #expect(reason(String(decoding: manifest.encoded, as: UTF8.self)) == .malformedManifest)
        manifest.acks = (0..<4000).map { SHA256Hash.digest(of: [UInt8($0 & 255), UInt8($0 >> 8)]) }
        #expect(reason(String(decoding: manifest.encoded, as: UTF8.self)) == .tooLarge)
    }

    @Test("an error says which field and what it must be")
    func errorText() {
        let error = #expect(throws: BundleError.self) {
            try Manifest(parsing: Array(good.replacing("\"round\":3", with: "\"round\":-3").utf8))
        }
        #expect(error?.description == "manifest.json: round: must be an integer from 0 to 1000000")
    }
}
