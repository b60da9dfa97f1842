import Images
import SystemPackage
import Testing

/// ``PerceptualHash`` and ``NearDuplicates``.
@Suite struct DuplicateTests {
    private let phantom = PhantomGenerator.draw(.glioma, seed: 3, index: 1, size: 128)

    private func brighter(_ image: LumaImage) -> LumaImage {
        LumaImage(
            width: image.width, height: image.height,
            pixels: image.pixels.map { UInt8(clamping: 15 + Int($0) * 8 / 10) })
    }

    @Test("mirrored, resized, recompressed, brighter: the same picture")
    func variants() throws {
        let jpeg = try ImageDecoder.decode(
            try ImageEncoder.jpeg(phantom.decoded, quality: 40), as: .luma)
        let variants = [
            phantom.mirrored(), phantom.resized(width: 64, height: 64),
            phantom.resized(width: 300, height: 200),
            LumaImage(jpeg), brighter(phantom),
            brighter(phantom.mirrored().resized(width: 90, height: 90)),
        ]
        let hash = PerceptualHash(phantom)
        for variant in variants { #expect(hash.correlation(PerceptualHash(variant)) > 0.995) }
        #expect(
            NearDuplicates.groups([hash] + variants.map(PerceptualHash.init))
                == [Int](repeating: 0, count: 7))
    }

    @Test("other phantoms are other pictures")
    func different() {
        let hashes = PhantomClass.allCases.flatMap { label in
            (0..<30).map { PerceptualHash(PhantomGenerator.draw(label, seed: 1, index: $0, size: 64)) }
        }
        #expect(NearDuplicates.clusters(NearDuplicates.groups(hashes)).isEmpty)
    }

    @Test("flat pictures are alike, and unlike others")
    func flat() {
        let black = PerceptualHash(LumaImage(width: 1, height: 1, pixels: [0]))
        let gray = PerceptualHash(
            LumaImage(width: 50, height: 40, pixels: [UInt8](repeating: 99, count: 2000)))
        #expect(NearDuplicates.groups([black, PerceptualHash(phantom), gray]) == [0, 1, 0])
        #expect(NearDuplicates.groups([]) == [])
    }

    /// Against ground truth that the data folder carries. See the constants in ``NearDuplicates``.
    @Test(
        "real pictures: the known near-duplicates are found, mirrored ones included",
        .enabled(if: SharedData.has("brain-mri"), "\(SharedData.absent)"))
    func realPictures() throws {
        let folder = SharedData.folder.appending("brain-mri")
        let scan = try Dataset.scan(folder)
        let table = try GroupTable(reading: folder.appending("groups.csv"))
        let hashes = try PerceptualHash.all(scan).map { try $0.get() }
        let found = NearDuplicates.groups(hashes)
        let known = try scan.items.map { try #require(table[$0.path]) }
        func pairs(_ groups: [Int]) -> Set<[Int]> {
            Set(
                NearDuplicates.clusters(groups).flatMap { cluster in
                    cluster.flatMap { left in cluster.filter { $0 > left }.map { [left, $0] } }
                })
        }
        let (wanted, got) = (pairs(known), pairs(found))
        #expect(Double(wanted.intersection(got).count) >= 0.98 * Double(wanted.count))
        // The rest are neighbouring slices of one patient; they must stay few.
        #expect(got.count < 2 * wanted.count && Set(found).count > 2100)
    }
}
