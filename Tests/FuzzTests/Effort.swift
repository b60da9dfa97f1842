import Glibc

/// How long to try. `CONSILIUM_FUZZ=100 swift test --filter FuzzTests` tries a hundred times as long, for an hour to spare.
enum Effort {
    private static let factor = getenv("CONSILIUM_FUZZ").flatMap { Int(String(cString: $0)) } ?? 1

    static func rounds(_ count: Int) -> Range<Int> { 0..<count * max(1, factor) }
}
