import NeuralNetworks
import Tensors
import Testing

/// Central differences check the reference; the reference checks the engine.
@Suite struct GradientTests {
    @Test("the reference's gradients are those of its loss", arguments: GraphCase.all)
    func reference(_ subject: GraphCase) {
        let network = subject.reference()
        let pass = network.forwardAndBackward(pictures: subject.pictures, labels: subject.labels)

        let step = 1e-5
        func expectAgreement(_ analytic: Double, _ name: String, _ shift: (Double) -> Double) {
            let numeric = (shift(step) - shift(-step)) / (2 * step)
            #expect(abs(analytic - numeric) <= 1e-7 + 1e-5 * abs(numeric), "\(name): \(analytic), not \(numeric)")
        }
        for (element, gradient) in pass.inputGradient.enumerated() where element % 3 == 0 {
            expectAgreement(gradient, "input[\(element)]") { amount in
                var pictures = subject.pictures
                pictures[element] += amount
                return network.loss(pictures: pictures, labels: subject.labels)
            }
        }
        for (name, gradients) in pass.gradients {
            for element in stride(from: 0, to: gradients.count, by: max(1, gradients.count / 24)) {
                expectAgreement(gradients[element], "\(name)[\(element)]") { amount in
                    var shifted = network
                    shifted.parameters[name]?[element] += amount
                    return shifted.loss(pictures: subject.pictures, labels: subject.labels)
                }
            }
        }
    }

    @Test("the engine agrees with the reference, on every instruction set", arguments: GraphCase.all)
    func engine(_ subject: GraphCase) throws {
        let pass = subject.reference().forwardAndBackward(pictures: subject.pictures, labels: subject.labels)
        for instructionSet in InstructionSet.allCases where instructionSet.isSupported {
            let context = ComputeContext(workers: 2, instructionSet: instructionSet)
            let probe = try GraphProbe(
                subject.graph, tensors: subject.tensors, batch: subject.batch, mode: subject.mode, context: context)
            let loss = probe.run(
                pictures: subject.pictures.map(Float.init), labels: subject.labels,
                classWeights: subject.classWeights, logitOffsets: subject.logitOffsets)

            #expect(abs(loss - pass.loss) < 1e-5)
            for (index, node) in subject.graph.nodes.enumerated() {
                guard let value = probe.value(of: node.name) else { continue }
                #expect(relativeError(value, pass.values[index]) < 3e-6, "value of \(node.name)")
            }
            #expect(relativeError(probe.inputGradient ?? [], pass.inputGradient) < 1e-5, "gradient by the input")
            let gradients = probe.gradients
            #expect(Set(gradients.names) == Set(pass.gradients.keys))
            for (name, expected) in pass.gradients {
                #expect(relativeError(gradients[name]?.tensor.values ?? [], expected) < 2e-5, "gradient by \(name)")
            }
            for (name, expected) in pass.statistics {
                #expect(relativeError(probe.tensors[name]?.tensor.values ?? [], expected) < 1e-6, "\(name)")
            }
        }
    }

    @Test("parameters and statistics outside of the trained parts are not touched")
    func frozenStays() throws {
        for subject in GraphCase.all {
            let probe = try GraphProbe(
                subject.graph, tensors: subject.tensors, batch: subject.batch, mode: subject.mode,
                context: ComputeContext(workers: 1))
            probe.run(pictures: subject.pictures.map(Float.init), labels: subject.labels)
            let before = subject.tensors
            for tensor in subject.graph.tensors {
                let mayChange =
                    tensor.role == .bnStatistic && subject.mode.trainedParts.contains(tensor.part)
                    && !subject.mode.freezesBatchNorm
                if !mayChange { #expect(probe.tensors[tensor.name] == before[tensor.name]) }
            }
        }
    }
}
