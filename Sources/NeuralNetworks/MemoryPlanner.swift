/// A stretch of steps during which a buffer of `count` floats must keep its contents.
package struct Interval: Equatable, Sendable {
    package var count: Int
    /// The first and the last step that touch the buffer, both included.
    package var first: Int
    package var last: Int

    package init(count: Int, first: Int, last: Int) {
        self.count = count
        self.first = first
        self.last = last
    }

    func overlaps(_ other: Interval) -> Bool { first <= other.last && other.first <= last }
}

/// Offsets, in floats, of buffers within one arena.
///
/// Rules: 1. two buffers whose intervals overlap share no float; 2. every offset is a multiple of `alignment`;
/// 3. the peak is the end of the last buffer, and the same for the same input.
///
/// Greedy by size (Pisarchyk and Lee 2020, arXiv 2001.03288, section 5.2): the largest buffer first, each at the lowest
/// gap between those already placed that live at the same time.
package struct MemoryPlan: Equatable, Sendable {
    /// 16 floats are a cache line, and a vector of the widest instruction set.
    package static let alignment = 16

    package let offsets: [Int]
    package let peak: Int

    package init(_ intervals: [Interval]) {
        var offsets = [Int](repeating: 0, count: intervals.count)
        var placed: [Int] = []
        var peak = 0
        let order = intervals.indices.sorted {
            intervals[$0].count == intervals[$1].count ? $0 < $1 : intervals[$0].count > intervals[$1].count
        }
        for index in order {
            let size = Self.aligned(intervals[index].count)
            var offset = 0
            for other in placed where intervals[other].overlaps(intervals[index]) {
                if offsets[other] >= offset + size { break }
                offset = max(offset, offsets[other] + Self.aligned(intervals[other].count))
            }
            offsets[index] = offset
            peak = max(peak, offset + size)
            let position = placed.firstIndex { offsets[$0] > offset } ?? placed.endIndex
            placed.insert(index, at: position)
        }
        self.offsets = offsets
        self.peak = peak
    }

    static func aligned(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }
}
