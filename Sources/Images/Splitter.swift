/// Splitting of labelled, grouped pictures into parts. Pure: values in, values out.
///
/// 1. Every picture goes to exactly one part.
/// 2. A group (near-duplicates, or one patient's pictures) is never divided.
/// 3. Every part gets its share of every class, as near as whole groups allow: with groups of one picture, less than one
///    picture off.
/// 4. The same input and seed give the same parts on every platform.
package enum Splitter {
    package struct Item: Equatable, Sendable {
        package let label: Int
        /// Any number; equal ones belong together.
        package let group: Int
        package init(label: Int, group: Int) {
            self.label = label
            self.group = group
        }
    }

    package enum Part: Hashable, Sendable {
        /// Counted from 0.
        case client(Int)
        case test
    }

    package struct Options: Equatable, Sendable {
        package var clients: Int
        /// The test set's share of every class, 0 to below 1; drawn evenly from all classes whatever the skew.
        package var test: Double
        /// 0: every client gets the same share of every class (IID). s: the fraction s of each class goes to that
        /// class's home client (classes are dealt out to the clients in turn, in an order that the seed decides), the
        /// rest evenly to all. With 3 clients and 0.8, a class's home holds 0.8 + 0.2 / 3 = 87 % of it.
        package var skew: Double
        package var seed: UInt64

        package init(clients: Int, test: Double, skew: Double = 0, seed: UInt64) {
            self.clients = clients
            self.test = test
            self.skew = skew
            self.seed = seed
        }
    }

    /// - Returns: each picture's part.
    /// - Throws: `invalidOption` for a number outside its range.
    package static func split(_ items: [Item], classes: Int, options: Options) throws(ImageError) -> [Part] {
        guard (1...1000).contains(options.clients) else {
            throw ImageError(.invalidOption, "\(options.clients) clients: must be from 1 to 1000")
        }
        guard options.test >= 0, options.test < 1 else {
            throw ImageError(.invalidOption, "test share \(options.test): must be at least 0 and below 1")
        }
        guard (0...1).contains(options.skew) else {
            throw ImageError(.invalidOption, "skew \(options.skew): must be from 0 to 1")
        }
        var homes = Array(0..<options.clients)
        var random = CounterRandom(0x686f_6d65, options.seed)
        random.shuffle(&homes)
        let training = 1 - options.test
        var shares = (0..<options.clients).map { client in
            (0..<classes).map { label in
                let home = homes[label % options.clients] == client ? options.skew : 0
                return training * ((1 - options.skew) / Double(options.clients) + home)
            }
        }
        shares.append([Double](repeating: options.test, count: classes))
        return assign(items, shares: shares, seed: options.seed).map { $0 == options.clients ? .test : .client($0) }
    }

    /// A client's own training and validation pictures, as indices in ascending order.
    /// - Throws: `invalidOption` unless 0 <= fraction < 1.
    package static func validation(
        _ items: [Item], classes: Int, fraction: Double, seed: UInt64
    ) throws(ImageError) -> (training: [Int], validation: [Int]) {
        guard fraction >= 0, fraction < 1 else {
            throw ImageError(.invalidOption, "validation share \(fraction): must be at least 0 and below 1")
        }
        let shares = [1 - fraction, fraction].map { [Double](repeating: $0, count: classes) }
        let parts = assign(items, shares: shares, seed: seed)
        return (parts.indices.filter { parts[$0] == 0 }, parts.indices.filter { parts[$0] == 1 })
    }

    /// Groups, the largest first and otherwise shuffled, go one by one to the part that is farthest from its wished number
    /// of the group's classes; the first part wins a tie.
    /// - Parameter shares: [part][class]; each class's column adds up to 1.
    static func assign(_ items: [Item], shares: [[Double]], seed: UInt64) -> [Int] {
        let classes = shares.first?.count ?? 0
        var members: [Int: [Int]] = [:]
        var order: [Int] = []
        for (index, item) in items.enumerated() {
            if members[item.group] == nil { order.append(item.group) }
            members[item.group, default: []].append(index)
        }
        var random = CounterRandom(0x7370_6c69, seed)
        random.shuffle(&order)
        let position = Dictionary(uniqueKeysWithValues: zip(order, order.indices))
        func size(_ group: Int) -> Int { members[group]?.count ?? 0 }
        order.sort { (size($1), position[$0] ?? 0) < (size($0), position[$1] ?? 0) }

        var total = [Double](repeating: 0, count: classes)
        for item in items { total[item.label] += 1 }
        var missing = shares.map { share in zip(share, total).map { $0 * $1 } }
        var parts = [Int](repeating: 0, count: items.count)
        for group in order {
            let indices = members[group] ?? []
            let wishes = missing.indices.map { part in indices.reduce(0.0) { $0 + missing[part][items[$1].label] } }
            let part = wishes.indices.max { wishes[$0] < wishes[$1] || (wishes[$0] == wishes[$1] && $0 > $1) } ?? 0
            for index in indices {
                parts[index] = part
                missing[part][items[index].label] -= 1
            }
        }
        return parts
    }
}
