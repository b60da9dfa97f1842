import Tensors

/// A buffer of a plan: an index into its offsets.
typealias BufferID = Int
/// An index into ``ParameterLayout/slots``.
typealias SlotID = Int

/// One kernel call of a plan. Buffers not written otherwise are activations `[N, H, W, C]`.
enum Step: Sendable {
    case convolution(ConvolutionStep)
    case convolutionWeightGradient(ConvolutionStep)
    case convolutionInputGradient(ConvolutionStep)
    case normalize(NormalizeStep)
    /// Sums the gradient to the gradients by weight and bias; where others need it behind the ReLU, masks it in place.
    case normalizeGradientSums(NormalizeBackwardStep)
    /// `inputGradient` may be the output gradient's buffer.
    case normalizeInputGradient(NormalizeBackwardStep, inputGradient: BufferID)
    case relu(input: BufferID, output: BufferID, count: Int)
    /// `gradient` becomes `gradient` where `output > 0`, else 0; in place.
    case reluBackward(output: BufferID, gradient: BufferID, count: Int)
    case maxPool(PoolShape, input: BufferID, output: BufferID, argmax: BufferID)
    case maxPoolBackward(PoolShape, outputGradient: BufferID, argmax: BufferID, inputGradient: BufferID)
    case averagePool(PoolShape, input: BufferID, output: BufferID)
    case averagePoolBackward(PoolShape, outputGradient: BufferID, inputGradient: BufferID)
    case globalAveragePool(PlaneShape, input: BufferID, output: BufferID)
    case globalAveragePoolBackward(PlaneShape, outputGradient: BufferID, inputGradient: BufferID)
    case dense(DenseStep)
    case denseWeightGradient(DenseStep)
    case denseInputGradient(DenseStep)
    /// Inverted dropout with the mask that `node` and the step's key give: forward on values, backward on gradients.
    case dropout(node: Int, input: BufferID, output: BufferID, count: Int)
    case add(left: BufferID, right: BufferID, output: BufferID, count: Int)
    case copy(from: BufferID, to: BufferID, count: Int)
    /// `target += source`
    case accumulate(source: BufferID, target: BufferID, count: Int)
    /// Probabilities from logits; with `gradient`, also the loss and its gradient by the logits.
    case softmax(logits: BufferID, probabilities: BufferID, gradient: BufferID?)
}

struct ConvolutionStep: Sendable {
    let convolution: Convolution
    let weight: SlotID
    /// Forward, the shift of a BatchNorm that was folded in, too.
    var bias: SlotID?
    /// The layer's input, or the gradient by it.
    let input: BufferID
    /// The layer's output, or the gradient by it.
    let output: BufferID
    let workspace: BufferID
    /// Forward: added to the output, before the ReLU.
    var residual: BufferID?
    var appliesReLU = false
    /// Forward: takes the sums of the output's moments, for the BatchNorm behind it.
    var moments: BufferID?
    /// Input gradient: added to what the buffer holds.
    var accumulates = false
}

struct DenseStep: Sendable {
    let inputs: Int
    let outputs: Int
    let weight: SlotID
    let bias: SlotID?
    let input: BufferID
    let output: BufferID
    let workspace: BufferID
}

/// `output = relu(BatchNorm(input) + residual)`, ReLU and residual on demand, in one sweep; the plain BatchNorm output is
/// never stored.
struct NormalizeStep: Sendable {
    /// Channels and positions of the plane.
    let shape: PlaneShape
    let weight: SlotID
    let bias: SlotID
    let runningMean: SlotID
    let runningVariance: SlotID
    /// True: the batch's moments, and the running ones are updated. False: the running ones, as constants.
    let usesBatch: Bool
    let appliesReLU: Bool
    var input: BufferID
    let residual: BufferID?
    /// May be `input`.
    var output: BufferID
    /// `[C]` each. Mean and inverse deviation are kept for the backward pass where `usesBatch`.
    let mean: BufferID
    let inverseDeviation: BufferID
    let scale: BufferID
    let shift: BufferID
    let workspace: BufferID
    /// Whether the convolution before it has left the moments' sums in the workspace.
    let hasSums: Bool
    /// Whether moments, scale and shift are there from the first time.
    var isRepeated = false

    /// Whether the backward pass needs the output to see where the ReLU let values pass. Otherwise it computes that from the
    /// input, which it reads anyhow, by scale and shift, which are kept.
    var readsOutputBackward: Bool { appliesReLU && (residual != nil || !usesBatch) }

    func again(input: BufferID, output: BufferID) -> NormalizeStep {
        var step = self
        (step.input, step.output, step.isRepeated) = (input, output, true)
        return step
    }
}

/// The backward pass of a ``NormalizeStep``.
struct NormalizeBackwardStep: Sendable {
    let forward: NormalizeStep
    /// In: the gradient by the output.
    let outputGradient: BufferID
    /// The first of the two steps applies the ReLU mask to it in place, for the residual's sake. Otherwise each applies the
    /// mask by itself, which saves a pass over the memory.
    let masksInPlace: Bool
    /// `[C]`: sums over the batch of the gradient, and of its product with the normalised input.
    let sumGradient: BufferID
    let sumGradientNormalized: BufferID
    let scale: BufferID
    let workspace: BufferID
}
