import Bundles
import Testing
import Wire

/// Each kind has its files, and no others.
@Suite struct PayloadFilesTests {
    private func objection(_ kind: BundleKind, _ names: [String]) throws -> String? {
        var manifest = Manifest(
            kind: kind, federation: try #require(RandomID(hex: String(repeating: "f", count: 32))), session: .none,
            round: 0, seq: 1, sender: try #require(PartyName("hospital-a")),
            recipients: [try #require(PartyName("ministry"))], created: Timestamp(seconds: 1_800_000_000),
            expires: Timestamp(seconds: 1_800_086_400))
        manifest.files = names.map { PayloadFile(name: $0, size: 1, sha256: SHA256Hash.digest(of: [])) }
        return manifest.payloadObjection?.description
    }

    @Test(arguments: BundleKind.allCases)
    func whatIsMissingAndWhatIsTooMuchIsNamed(kind: BundleKind) throws {
        guard let (always, perhaps) = kind.payloadFiles else { return #expect(kind == .recovery) }
        #expect(try objection(kind, always.sorted()) == nil)
        #expect(try objection(kind, always.union(perhaps).sorted()) == nil)
        for name in always {
            #expect(try objection(kind, always.subtracting([name]).sorted())?.hasPrefix("\(name) is missing") == true)
        }
        let strange = try #require(try objection(kind, always.sorted() + ["patients.csv"]))
        #expect(strange.contains("holds patients.csv"))
    }
}
