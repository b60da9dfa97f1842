/// The candidate that a person who typed `word` most likely meant.
///
/// Nearest by optimal string alignment distance (insert, delete, replace, swap neighbours), ignoring ASCII case; at most one
/// error for each three characters. Ties go to the first in byte order, so that the answer never depends on hashing.
///
/// - Returns: nil if nothing is near, or if `word` is longer than any sensible name.
package func didYouMean(_ word: String, among candidates: some Sequence<String>) -> String? {
    let typed = Array(word.lowercased().utf8)
    guard (1...64).contains(typed.count) else { return nil }
    let allowed = max(1, typed.count / 3)
    var best: (distance: Int, candidate: String)?
    for candidate in candidates.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
        let letters = Array(candidate.lowercased().utf8)
        guard letters.count <= 64, abs(letters.count - typed.count) <= allowed else { continue }
        let distance = alignmentDistance(typed, letters)
        if distance <= allowed, distance < (best?.distance ?? Int.max) { best = (distance, candidate) }
    }
    return best?.candidate
}

/// Optimal string alignment distance by the usual dynamic programme, three rows at a time.
private func alignmentDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var beforeLast = [Int](repeating: 0, count: right.count + 1)
    var last = Array(0...right.count)
    for (row, letter) in left.enumerated() {
        var current = [row + 1]
        for (column, other) in right.enumerated() {
            var cost = min(last[column + 1] + 1, current[column] + 1, last[column] + (letter == other ? 0 : 1))
            if row > 0, column > 0, letter == right[column - 1], left[row - 1] == other {
                cost = min(cost, beforeLast[column - 1] + 1)
            }
            current.append(cost)
        }
        (beforeLast, last) = (last, current)
    }
    return last[right.count]
}
