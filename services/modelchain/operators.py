"""The operators that a graph may be made of: each answers the same for the same input, after a bounded time.

Left out on purpose: control flow and sequences (``If``, ``Loop``, ``Scan``, ``SequenceMap``: endless work, graphs within
graphs), chance (``Bernoulli``, ``Dropout``, ``Multinomial``, ``RandomNormal``), decoders (``ImageDecoder``), patterns
(``RegexFullMatch``), training (losses), and what is of no use to a classifier. Operators by ONNX, "Operator Schemas".
"""

from __future__ import annotations

_PLAIN = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization Cast CastLike Ceil
Celu Clip Concat Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear
Div DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm
GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish Hardmax
Identity InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax
LpNormalization LpPool MatMul MatMulInteger Max MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg Not OneHot
Or PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN Range Reciprocal ReduceL1 ReduceL2
ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize
RotaryEmbedding Round ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus
Softsign SpaceToDepth Split Sqrt Squeeze StringConcat StringNormalizer StringSplit Sub Sum Swish Tan Tanh
TfIdfVectorizer ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Where Xor
"""

_CLASSICAL = """
ArrayFeatureExtractor Binarizer FeatureVectorizer Imputer LabelEncoder LinearClassifier LinearRegressor Normalizer
OneHotEncoder SVMClassifier SVMRegressor Scaler TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor
"""

OPERATORS = {
    "": frozenset(_PLAIN.split()),
    "ai.onnx.ml": frozenset(_CLASSICAL.split()),
    # The one that text needs and ONNX has not; its expressions are RE2's, whose work grows with the text alone.
    "com.microsoft": frozenset({"Tokenizer"}),
}
"""By domain; ``""`` is ``ai.onnx``."""

VERSIONS = {"": (13, 28), "ai.onnx.ml": (1, 5), "com.microsoft": (1, 1)}
"""Oldest and newest operator set of each domain: from 13 on ``Softmax`` means one axis; 28 and 5 are the newest that
ONNX Runtime 1.32 loads."""

IR_VERSIONS = (7, 14)
"""Oldest and newest format of the file (``onnx.proto``, ``Version``); 14 is the newest that ONNX Runtime 1.32 loads."""
