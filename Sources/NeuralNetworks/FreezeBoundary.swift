/// Cutting a graph in two where training begins: what lies before gives the same values in every epoch.
extension Graph {
    /// The last node before anything that trains, or that is random: the only value that what follows reads of what is
    /// frozen.
    ///
    /// - Returns: nil where nothing is frozen, or no single value is all that passes.
    func freezeBoundary(_ mode: PlanMode) -> Int? {
        var isLive = [Bool](repeating: false, count: nodes.count)
        for (index, node) in nodes.enumerated().dropFirst() {
            isLive[index] = mode.trains(node) || node.operation == .dropout || node.inputs.contains { isLive[$0] }
        }
        let passed = Set(nodes.indices.filter { isLive[$0] }.flatMap { nodes[$0].inputs }.filter { !isLive[$0] })
        guard passed.count == 1, let boundary = passed.first, boundary != 0 else { return nil }
        return boundary
    }

    /// The graph up to a node, which becomes its output.
    func prefix(through name: String) throws(NetworkError) -> Graph {
        let boundary = try index(of: name)
        var needed = Set([boundary])
        for index in (1...boundary).reversed() where needed.contains(index) { needed.formUnion(nodes[index].inputs) }
        return try copy(of: needed.sorted(), input: 0)
    }

    /// The graph behind a node, whose value becomes the input.
    func suffix(after name: String) throws(NetworkError) -> Graph {
        let boundary = try index(of: name)
        return try copy(of: [boundary] + Array((boundary + 1)..<nodes.count), input: boundary)
    }

    private func index(of name: String) throws(NetworkError) -> Int {
        guard let index = nodes.firstIndex(where: { $0.name == name }), index > 0 else {
            throw NetworkError(.invalidGraph, "there is no layer '\(name)'")
        }
        return index
    }

    /// - Parameter kept: in forward order, the new input first.
    private func copy(of kept: [Int], input: Int) throws(NetworkError) -> Graph {
        var graph = Graph(input: nodes[input].shape)
        var places = [input: 0]
        for index in kept where index != input {
            let node = nodes[index]
            let inputs = node.inputs.compactMap { places[$0] }
            guard inputs.count == node.inputs.count else {
                throw NetworkError(.invalidGraph, "layer '\(node.name)' reads a value from before the boundary")
            }
            places[index] = try graph.add(node.operation, inputs, name: node.name, part: node.part)
        }
        return graph
    }
}

extension ModelSpecification {
    /// The name of the last layer before anything that trains; nil where nothing is frozen.
    package func freezeBoundary(trainFrom: String, frozenBatchNorm: Bool) throws(NetworkError) -> String? {
        let graph = try graph()
        let mode = PlanMode(trainedParts: Set(try parts(from: trainFrom)), freezesBatchNorm: frozenBatchNorm)
        return graph.freezeBoundary(mode).map { graph.nodes[$0].name }
    }
}
