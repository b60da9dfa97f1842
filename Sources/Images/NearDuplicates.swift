/// Groups of pictures that show the same slice: copies, mirrored ones, other sizes, other compression.
///
/// Two pictures are near-duplicates if their hashes' signs differ in at most ``maximumDistance`` of 64 bits, mirrored or
/// not, and their correlation is at least ``minimumCorrelation``. Groups are the connected sets (union-find).
///
/// Candidates come from multi-index hashing (Norouzi, Punjani, Fleet 2012): the bits are cut into 8 bytes with a table
/// each, and a picture meets only those that agree with it, mirrored or not, in at least one byte: about 1/16 of all, and
/// only by a population count. Words that differ in at most 7 bits always agree in one byte, those that differ in 8 to 10
/// do so in more than 97 of 100 cases. Still quadratic, with a factor so small that 100,000 pictures take seconds.
package enum NearDuplicates {
    /// Of 64 bits.
    package static let maximumDistance = 10
    /// Chosen on 2,393 brain MRI pictures with 193 known pairs: finds all of them. The other pairs that it joins
    /// look like neighbouring slices of one patient, which a split should not part either.
    package static let minimumCorrelation: Float = 0.993

    /// - Returns: for each picture the smallest index in its group.
    package static func groups(
        _ hashes: [PerceptualHash], minimumCorrelation: Float = Self.minimumCorrelation
    ) -> [Int] {
        var sets = DisjointSets(count: hashes.count)
        let words = hashes.map(\.bits)
        var tables = [[Int32]](repeating: [], count: 8 * 256)
        func table(_ band: Int, _ bits: UInt64) -> Int { band * 256 + Int(bits >> UInt64(8 * band) & 255) }
        for (index, hash) in hashes.enumerated() {
            var near: [Int] = []
            for bits in [hash.bits, hash.mirroredBits] {
                for band in 0..<8 {
                    for other in tables[table(band, bits)]
                    where (words[Int(other)] ^ bits).nonzeroBitCount <= maximumDistance { near.append(Int(other)) }
                }
            }
            for other in near where sets.root(other) != sets.root(index) {
                if hash.correlation(hashes[other]) >= minimumCorrelation { sets.join(other, index) }
            }
            for band in 0..<8 { tables[table(band, hash.bits)].append(Int32(index)) }
        }
        return hashes.indices.map { sets.root($0) }
    }

    /// Groups of two and more, as lists of indices, in the order of their first members.
    package static func clusters(_ groups: [Int]) -> [[Int]] {
        Dictionary(grouping: groups.indices, by: { groups[$0] }).values.filter { $0.count > 1 }
            .sorted { ($0.first ?? 0) < ($1.first ?? 0) }
    }
}

/// Union-find; a set's root is its smallest member.
struct DisjointSets {
    private var parent: [Int]

    init(count: Int) { parent = Array(0..<count) }

    mutating func root(_ member: Int) -> Int {
        var member = member
        while parent[member] != member {
            parent[member] = parent[parent[member]]
            member = parent[member]
        }
        return member
    }

    mutating func join(_ left: Int, _ right: Int) {
        let (a, b) = (root(left), root(right))
        parent[max(a, b)] = min(a, b)
    }

    /// What one of two groupings of the same members holds together, directly or over others.
    ///
    /// - Returns: for each member the smallest one in its group.
    static func union(_ left: [Int], _ right: [Int]) -> [Int] {
        var sets = DisjointSets(count: left.count)
        for groups in [left, right] {
            var first: [Int: Int] = [:]
            for (member, group) in groups.enumerated() {
                if let other = first[group] { sets.join(other, member) } else { first[group] = member }
            }
        }
        return left.indices.map { sets.root($0) }
    }
}
