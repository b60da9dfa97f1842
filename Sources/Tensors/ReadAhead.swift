/// Memory that is needed soon: products read it ahead, some lines with every call, while their own operands come from
/// the caches. Reading ahead is a hint: it may reach beyond a tensor's end, and never faults.
struct ReadAhead {
    private var rest, later: (next: UnsafePointer<Float>, end: UnsafePointer<Float>)

    /// Two ranges of pixels, read in this order; either may be empty.
    init(
        _ first: UnsafePointer<Float>, pixels: Range<Int>, channels: Int,
        then second: UnsafePointer<Float>, pixels secondPixels: Range<Int>, channels secondChannels: Int
    ) {
        rest = (first + pixels.lowerBound * channels, first + pixels.upperBound * channels)
        later = (second + secondPixels.lowerBound * secondChannels, second + secondPixels.upperBound * secondChannels)
    }

    /// Where a call that reads `lines` cache lines ahead begins, or nil when all has been read.
    mutating func take(lines: Int) -> UnsafePointer<Float>? {
        if rest.next >= rest.end {
            rest = later
            later.next = later.end
        }
        guard rest.next < rest.end else { return nil }
        defer { rest.next += 16 * lines }
        return rest.next
    }
}
