import Images
import Testing

/// Rules 1 to 4 of ``Splitter``, and its skew.
@Suite struct SplitterTests {
    /// Groups of 1 to 4 pictures of one class.
    private func items(_ count: Int, classes: Int = 4, grouped: Bool) -> [Splitter.Item] {
        var random = CounterRandom(9)
        var (items, group) = ([Splitter.Item](), 0)
        while items.count < count {
            let label = random.index(below: classes)
            for _ in 0...(grouped ? random.index(below: 4) : 0) {
                items.append(Splitter.Item(label: label, group: group))
            }
            group += 1
        }
        return items
    }

    private func counts(_ items: [Splitter.Item], _ parts: [Splitter.Part], _ part: Splitter.Part)
        -> [Int]
    {
        zip(items, parts).reduce(into: [0, 0, 0, 0]) { if $1.1 == part { $0[$1.0.label] += 1 } }
    }

    @Test("groups are never divided, and every picture has one part", arguments: [0, 0.5, 1])
    func groups(skew: Double) throws {
        let items = items(1000, grouped: true)
        let parts = try Splitter.split(
            items, classes: 4, options: .init(clients: 3, test: 0.2, skew: skew, seed: 1))
        #expect(parts.count == items.count)
        let byGroup = Dictionary(grouping: zip(items, parts), by: \.0.group)
        #expect(byGroup.values.allSatisfy { Set($0.map(\.1)).count == 1 })
    }

    @Test("each part has its share of each class, less than one picture off")
    func stratified() throws {
        let items = items(997, grouped: false)
        let parts = try Splitter.split(
            items, classes: 4, options: .init(clients: 3, test: 0.2, seed: 5))
        let totals = (0..<4).map { label in Double(items.filter { $0.label == label }.count) }
        for (part, share) in [(Splitter.Part.client(0), 0.8 / 3), (.client(2), 0.8 / 3), (.test, 0.2)] {
            for (count, total) in zip(counts(items, parts, part), totals) {
                #expect(abs(Double(count) - share * total) < 1)
            }
        }
    }

    @Test("with groups, the shares are kept within one group")
    func stratifiedGroups() throws {
        let items = items(2000, grouped: true)
        let parts = try Splitter.split(
            items, classes: 4, options: .init(clients: 3, test: 0.2, seed: 5))
        let totals = (0..<4).map { label in Double(items.filter { $0.label == label }.count) }
        for (count, total) in zip(counts(items, parts, .test), totals) {
            #expect(abs(Double(count) - 0.2 * total) <= 4)
        }
    }

    @Test("skew s puts s of each class at its home, the rest evenly; the test set stays even")
    func skew() throws {
        let items = items(4000, grouped: false)
        let parts = try Splitter.split(
            items, classes: 4, options: .init(clients: 3, test: 0.2, skew: 0.8, seed: 2))
        let totals = (0..<4).map { label in Double(items.filter { $0.label == label }.count) }
        for label in 0..<4 {
            let shares = (0..<3).map {
                Double(counts(items, parts, .client($0))[label]) / (0.8 * totals[label])
            }.sorted()
            #expect(abs(shares[2] - (0.8 + 0.2 / 3)) < 0.01 && abs(shares[0] - 0.2 / 3) < 0.01)
            #expect(abs(Double(counts(items, parts, .test)[label]) - 0.2 * totals[label]) < 1)
        }
        let extreme = try Splitter.split(
            items, classes: 4, options: .init(clients: 4, test: 0, skew: 1, seed: 2))
        for client in 0..<4 {
            #expect(counts(items, extreme, .client(client)).filter { $0 > 0 }.count == 1)
        }
    }

    @Test("the same seed gives the same parts, another seed others")
    func seeds() throws {
        let items = items(300, grouped: true)
        func split(_ seed: UInt64) throws -> [Splitter.Part] {
            try Splitter.split(items, classes: 4, options: .init(clients: 3, test: 0.2, seed: seed))
        }
        #expect(try split(1) == split(1))
        #expect(try split(1) != split(2))
    }

    @Test("validation: both parts together are everything, every class in proportion")
    func validation() throws {
        let items = items(500, grouped: false)
        let parts = try Splitter.validation(items, classes: 4, fraction: 0.2, seed: 3)
        #expect((parts.training + parts.validation).sorted() == Array(0..<items.count))
        for label in 0..<4 {
            let (all, some) = (
                items.filter { $0.label == label }.count,
                parts.validation.filter { items[$0].label == label }.count
            )
            #expect(abs(Double(some) - 0.2 * Double(all)) < 1)
        }
        #expect(try Splitter.validation(items, classes: 4, fraction: 0, seed: 3).validation.isEmpty)
        #expect(try Splitter.validation([], classes: 4, fraction: 0.2, seed: 3).training.isEmpty)
    }

    @Test("options out of range are refused")
    func refused() {
        let wrong = [
            Splitter.Options(clients: 0, test: 0.2, seed: 1),
            Splitter.Options(clients: 2000, test: 0.2, seed: 1),
            Splitter.Options(clients: 3, test: 1, seed: 1),
            Splitter.Options(clients: 3, test: -0.1, seed: 1),
            Splitter.Options(clients: 3, test: .nan, seed: 1),
            Splitter.Options(clients: 3, test: 0.2, skew: 1.1, seed: 1),
        ]
        for options in wrong {
            #expect(
                reason { () throws(ImageError) in _ = try Splitter.split([], classes: 2, options: options) }
                    == .invalidOption)
        }
        #expect(
            reason { () throws(ImageError) in
                _ = try Splitter.validation([], classes: 2, fraction: 1, seed: 1)
            } == .invalidOption)
    }
}
