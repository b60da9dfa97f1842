import Tensors

/// What one run of a plan is given.
struct BatchInputs {
    /// `[N, H, W, C]`.
    let pictures: UnsafePointer<Float>
    /// Class indices, N of them in training, none at inference.
    var labels: [Int] = []
    var classWeights: [Float]?
    var logitOffsets: [Float]?
    var dropout: Float = 0
    /// The step's own randomness.
    var random = RandomSource(seed: 0)
    /// Where these pictures are a part of a batch: the number of the first one in it, and the whole batch's sum of class
    /// weights.
    var firstPicture = 0
    var batchWeight: Double?
    /// How much of a batch's moments goes into the running statistics.
    var batchNormMomentum = BatchNorm.momentum
}

/// Runs plans on memory that is lent to it. Nothing is allocated.
struct Executor {
    let layout: ParameterLayout
    let context: ComputeContext
    /// Parameters and running statistics, `layout.totalCount` floats.
    let values: UnsafeMutablePointer<Float>
    /// `layout.trainableCount` floats; nil for inference.
    let gradients: UnsafeMutablePointer<Float>?
    /// As many floats as the largest of the plans needs.
    let arena: UnsafeMutablePointer<Float>

    /// - Parameter forwardOnly: stops before the loss, and so before the first gradient.
    /// - Returns: the loss of a training plan.
    @discardableResult
    func run(_ plan: Plan, _ inputs: BatchInputs, forwardOnly: Bool = false) -> LossSums {
        var loss = LossSums()
        for step in plan.steps {
            if forwardOnly, case .softmax = step { break }
            let run = StepRun(executor: self, plan: plan, inputs: inputs)
            loss += run.perform(step)
        }
        return loss
    }

    /// The last run's probabilities, `[N, classes]`.
    func probabilities(_ plan: Plan) -> UnsafePointer<Float> {
        UnsafePointer(arena + plan.offsets[plan.probabilities])
    }
}

/// One step's view of the memory.
struct StepRun {
    let executor: Executor
    let plan: Plan
    let inputs: BatchInputs

    var context: ComputeContext { executor.context }

    /// Where a step may read.
    func read(_ buffer: BufferID) -> UnsafePointer<Float> {
        buffer == Plan.inputBuffer ? inputs.pictures : UnsafePointer(write(buffer))
    }

    /// Where a step may write.
    func write(_ buffer: BufferID) -> UnsafeMutablePointer<Float> { executor.arena + plan.offsets[buffer] }

    func parameter(_ slot: SlotID) -> UnsafeMutablePointer<Float> {
        executor.values + executor.layout.slots[slot].offset
    }

    /// - Precondition: the slot trains; plans ask for no other gradients.
    func gradient(_ slot: SlotID) -> UnsafeMutablePointer<Float> {
        guard let gradients = executor.gradients, executor.layout.slots[slot].isTrainable else {
            preconditionFailure("slot \(slot) does not train")
        }
        return gradients + executor.layout.slots[slot].offset
    }

    func perform(_ step: Step) -> LossSums {
        switch step {
        case .convolution(let step):
            step.convolution.forward(
                input: read(step.input), weight: parameter(step.weight),
                bias: step.bias.map { UnsafePointer(parameter($0)) },
                epilogue: Epilogue(residual: step.residual.map { read($0) }, relu: step.appliesReLU),
                output: write(step.output), moments: step.moments.map { write($0) }, workspace: write(step.workspace))
        case .convolutionWeightGradient(let step):
            convolutionWeightGradient(step)
        case .convolutionInputGradient(let step):
            step.convolution.inputGradient(
                outputGradient: read(step.output), weight: parameter(step.weight),
                inputGradient: write(step.input), accumulate: step.accumulates, workspace: write(step.workspace))
        case .normalize(let step):
            normalize(step)
        case .normalizeGradientSums(let step):
            normalizeGradientSums(step)
        case .normalizeInputGradient(let step, let inputGradient):
            normalizeInputGradient(step, inputGradient: write(inputGradient))
        case .dense(let step):
            dense(step)
        case .denseWeightGradient(let step):
            denseWeightGradient(step)
        case .denseInputGradient(let step):
            Kernels.matrixMultiply(
                m: plan.batch, n: step.inputs, k: step.outputs, a: read(step.output), b: parameter(step.weight),
                c: write(step.input), workspace: write(step.workspace), context: context)
        case .softmax(let logits, let probabilities, let gradient):
            return softmax(logits: logits, probabilities: probabilities, gradient: gradient)
        default:
            performElementwise(step)
        }
        return LossSums()
    }

    private func convolutionWeightGradient(_ step: ConvolutionStep) {
        step.convolution.weightGradient(
            input: read(step.input), outputGradient: read(step.output), weightGradient: gradient(step.weight),
            workspace: write(step.workspace))
        if let bias = step.bias {
            let shape = step.convolution.shape
            Kernels.biasGradient(
                dy: read(step.output), rows: plan.batch * shape.outputHeight * shape.outputWidth,
                channels: shape.outputChannels, output: gradient(bias), workspace: write(step.workspace),
                context: context)
        }
    }

    private func dense(_ step: DenseStep) {
        Kernels.matrixMultiply(
            m: plan.batch, n: step.outputs, k: step.inputs, a: read(step.input), b: parameter(step.weight),
            transposeB: true, bias: step.bias.map { UnsafePointer(parameter($0)) }, c: write(step.output),
            workspace: write(step.workspace), context: context)
    }

    private func denseWeightGradient(_ step: DenseStep) {
        Kernels.matrixMultiply(
            m: step.outputs, n: step.inputs, k: plan.batch, a: read(step.output), transposeA: true,
            b: read(step.input), c: gradient(step.weight), workspace: write(step.workspace),
            context: context)
        if let bias = step.bias {
            Kernels.biasGradient(
                dy: read(step.output), rows: plan.batch, channels: step.outputs, output: gradient(bias),
                workspace: write(step.workspace), context: context)
        }
    }

    private func softmax(logits: BufferID, probabilities: BufferID, gradient: BufferID?) -> LossSums {
        let classes = executor.layout.classes
        SoftmaxCrossEntropy.probabilities(
            logits: read(logits), rows: plan.batch, classes: classes, probabilities: write(probabilities))
        guard let gradient else { return LossSums() }
        return SoftmaxCrossEntropy.loss(
            logits: read(logits), labels: inputs.labels, classes: classes, classWeights: inputs.classWeights,
            offsets: inputs.logitOffsets, batchWeight: inputs.batchWeight, gradient: write(gradient))
    }
}
