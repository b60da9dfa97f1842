import NeuralNetworks
import Testing

@Suite struct PlanTests {
    @Test("no two live buffers share memory, offsets are aligned, the peak holds all; 200 random programs")
    func noOverlap() {
        for seed in 0..<200 as Range<UInt64> {
            let random = RandomSource(seed: seed)
            let intervals = (0..<40 as Range<UInt64>).map { index in
                let first = Int(random.bits(3 * index) % 30)
                let last = first + Int(random.bits(3 * index + 1) % 8)
                return Interval(count: Int(random.bits(3 * index + 2) % 500), first: first, last: last)
            }
            let plan = MemoryPlan(intervals)
            for (index, interval) in intervals.enumerated() {
                #expect(plan.offsets[index] % MemoryPlan.alignment == 0)
                #expect(plan.offsets[index] + interval.count <= plan.peak)
                for other in intervals.indices.dropFirst(index + 1) where interval.count > 0 {
                    let rival = intervals[other]
                    guard rival.count > 0, interval.first <= rival.last, rival.first <= interval.last else { continue }
                    let isBelow = plan.offsets[index] + interval.count <= plan.offsets[other]
                    let isAbove = plan.offsets[other] + rival.count <= plan.offsets[index]
                    #expect(isBelow || isAbove, "seed \(seed): \(index) and \(other)")
                }
            }
        }
    }

    @Test("buffers that never live together share memory; nothing takes no memory")
    func sharing() {
        let chain = (0..<10).map { Interval(count: 100, first: $0, last: $0 + 1) }
        #expect(MemoryPlan(chain).peak == 2 * 112)
        #expect(MemoryPlan([]).peak == 0)
    }

    @Test("a graph whose shapes do not fit is refused, with the layer's name")
    func shapes() throws {
        var graph = Graph(input: PlaneShape(height: 4, width: 4, channels: 2))
        let convolution = NeuralNetworks.Operation.convolution(outputs: 3, window: Window(3, stride: 1), bias: false)
        let small = try graph.add(convolution, [0], name: "small", part: "body")
        #expect(graph.nodes[small].shape == PlaneShape(height: 2, width: 2, channels: 3))
        func expectRefusal(_ operation: NeuralNetworks.Operation, _ inputs: [Int], name: String = "wrong") {
            do {
                try graph.add(operation, inputs, name: name, part: "body")
                Issue.record("accepted")
            } catch {
                #expect(error.reason == .invalidGraph && error.description.contains(name))
            }
        }
        expectRefusal(convolution, [small])
        expectRefusal(.residualAdd, [0, small])
        expectRefusal(.residualAdd, [small])
        expectRefusal(.dense(outputs: 2, bias: true), [small])
        expectRefusal(.relu, [7])
        expectRefusal(.relu, [0], name: "small")
        expectRefusal(.input, [0])
        expectRefusal(.maxPool(Window(16, stride: 1, padding: 8)), [0])
        expectRefusal(.averagePool(Window(2, stride: 2, padding: 2)), [0])
        expectRefusal(.maxPool(Window(2, stride: 0)), [0])
    }
}
